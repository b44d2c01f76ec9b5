"""The entry layer: the user's folder and the server, each under a root of its own."""

from __future__ import annotations

import pytest

from modelcrate_layers.errors import SourceError
from modelcrate_layers.kinds.entry import PREFIX, EntryLayer
from modelcrate_layers.kinds.model import ROOT
from modelcrate_layers.listing import Listing
from modelcrate_layers.serving import promise
from modelcrate_layers.sources import Bytes, read
from modelcrate_layers.tree import file

SCRIPT = file(ROOT + b"/src/score.py", Bytes(b"def init(): ..."))


def test_the_layer_has_the_folder_and_the_server() -> None:
    layer = EntryLayer("src/score.py", Listing((SCRIPT,)), (("opt/modelcrate/server/app.py", b"app"),))
    assert (layer.role, layer.name, layer.key()) == ("entry", "src/score.py", None)
    found = {entry.path: entry for entry in layer.tree().entries}
    assert set(found) == {
        b"opt/modelcrate",
        b"opt/modelcrate/server",
        b"opt/modelcrate/server/app.py",
        b"var/azureml-app",
        b"var/azureml-app/src",
        b"var/azureml-app/src/score.py",
    }
    server = found[b"opt/modelcrate/server/app.py"]
    assert server.source is not None
    assert read(server.source) == b"app"
    assert layer.tree().roots == (PREFIX, ROOT)


def test_the_real_server_makes_a_valid_tree() -> None:
    layer = EntryLayer("score.py", Listing((SCRIPT,)), promise().files)
    assert any(entry.path.endswith(b"modelcrate_server/app.py") for entry in layer.tree().entries)


def test_a_file_of_the_users_where_the_server_is_is_refused() -> None:
    mine = file(b"opt/modelcrate/server/app.py", Bytes(b"mine"))
    with pytest.raises(SourceError, match="comes twice"):
        EntryLayer("x", Listing((mine,)), (("opt/modelcrate/server/app.py", b"ours"),)).tree()
