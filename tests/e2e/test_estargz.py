"""`codec: estargz`: layers of wheels with a table, wherever they are kept, sent, known and taken from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import modelcrate
from modelcrate.config import Config
from modelcrate.transports.addresses import find
from modelcrate.transports.connections import Connections
from support import real_registry
from support.estargz import DIGEST, SIZE
from support.small_projects import served
from support.validator import assert_valid_found, assert_valid_layout


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if why := real_registry.missing():
        pytest.skip(why)
    with real_registry.running(tmp_path_factory.mktemp("registry")) as running:
        yield running.host


def settings(folder: Path, name: str) -> Config:
    return Config(folder / name, {"HOME": str(folder)})


def tables(manifest: dict[str, Any]) -> dict[str, str]:
    """The digests of the tables, by the names of their layers."""
    found = {}
    for each in manifest["layers"]:
        notes = each["annotations"]
        assert (DIGEST in notes) == (SIZE in notes) == ("estargz" in notes["io.modelcrate.layer.codec"])
        if DIGEST in notes:
            assert notes[SIZE] == notes["io.modelcrate.layer.tar-size"]
            found[notes["io.modelcrate.layer.name"]] = notes[DIGEST]
    return found


def test_it_is_the_same_made_known_and_taken_from_a_registry(host: str, tmp_path: Path) -> None:
    project = served(tmp_path / "project")
    with open(project / "modelcrate.yaml", "a") as text:
        text.write("codec: estargz\n")
    name = f"{host}/lazy/image:1"
    home = settings(tmp_path, "home")
    first = modelcrate.build(project, push=name, settings=home)
    made = tables(json.loads(first.image.images[0].manifest.data))
    assert len(made) == 1, "one layer for the small wheels"
    assert_valid_found(find(name, Connections(home)))
    known = modelcrate.build(project, outputs=f"oci:{tmp_path}/known:1", settings=home)
    taken = modelcrate.build(project, push=name, settings=settings(tmp_path, "other"))
    assert first.digest == known.digest == taken.digest
    assert "reused" in {each.origin for each in taken.layers if each.role == "dependencies"}
    assert assert_valid_layout(tmp_path / "known").images == 1


def test_another_codec_gives_the_same_files(host: str, tmp_path: Path) -> None:
    project = served(tmp_path / "project")
    home = settings(tmp_path, "home")
    plain = modelcrate.build(project, outputs=f"oci:{tmp_path}/plain:1", settings=home)
    with open(project / "modelcrate.yaml", "a") as text:
        text.write("codec: {dependencies: estargz}\n")
    lazy = modelcrate.build(project, outputs=f"oci:{tmp_path}/lazy:1", settings=home)
    assert lazy.id != plain.id, "the table is a file of the layer"
    assert [each.key for each in lazy.layers] == [each.key for each in plain.layers]
    others = [[each.descriptor for each in built.layers if each.role != "dependencies"] for built in (plain, lazy)]
    assert others[0] == others[1]
    assert_valid_layout(tmp_path / "lazy")
