"""The server's layer: known by its files, and the same for every project."""

from __future__ import annotations

from modelcrate.project.contracts import promise
from modelcrate_layers.kinds.server import ServerLayer
from modelcrate_layers.tar.sources import read

APP = ("opt/modelcrate/server/app.py", b"app")
PROGRAM = ("opt/modelcrate/server/bin/serve", b"#!/opt/modelcrate/bin/python\n")


def test_the_layer_has_the_files_below_our_prefix() -> None:
    layer = ServerLayer((APP, PROGRAM))
    found = {entry.path.decode(): entry for entry in layer.tree().entries}
    assert set(found) == {"opt/modelcrate", "opt/modelcrate/server", APP[0], "opt/modelcrate/server/bin", PROGRAM[0]}
    source = found[APP[0]].source
    assert source is not None
    assert read(source) == b"app"
    assert layer.tree().roots == (b"opt/modelcrate",)


def test_programs_may_be_started_and_nothing_else() -> None:
    modes = {entry.path.decode(): entry.mode for entry in ServerLayer((APP, PROGRAM)).tree().entries}
    assert (modes[APP[0]], modes[PROGRAM[0]]) == (0o664, 0o775)


def test_it_is_known_by_names_and_bytes() -> None:
    keys = {ServerLayer(files).key() for files in [(APP,), ((APP[0], b"other"),), (("opt/x", b"app"),), (APP, PROGRAM)]}
    assert len(keys) == 4
    assert ServerLayer((APP,)).key() in keys


def test_the_real_server_makes_a_valid_tree() -> None:
    layer = ServerLayer(promise().files)
    assert any(entry.path.endswith(b"modelcrate_server/app.py") for entry in layer.tree().entries)
