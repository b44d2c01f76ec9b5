"""The entry layer has the user's folder and nothing of ours."""

from __future__ import annotations

from modelcrate_layers.kinds.entry import EntryLayer
from modelcrate_layers.kinds.model import ROOT
from modelcrate_layers.tar.listing import Listing
from modelcrate_layers.tar.sources import Bytes
from modelcrate_layers.tar.tree import file

SCRIPT = file(ROOT + b"/src/score.py", Bytes(b"def init(): ..."))


def test_the_layer_has_the_folder() -> None:
    layer = EntryLayer.of("src/score.py", Listing((SCRIPT,)))
    assert (layer.role, layer.name, layer.key()) == ("entry", "src/score.py", None)
    assert {entry.path for entry in layer.tree().entries} == {
        b"var/azureml-app",
        b"var/azureml-app/src",
        b"var/azureml-app/src/score.py",
    }
    assert layer.tree().roots == (ROOT,)
