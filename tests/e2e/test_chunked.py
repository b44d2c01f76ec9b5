"""`codec: zstd:chunked`: layers with a table, wherever they are kept, sent, known and taken from."""

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
from support.chunked import DIGEST, PLACE, SPLIT
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


def with_codec(project: Path, codec: str) -> Path:
    with open(project / "modelcrate.yaml", "a") as text:
        text.write(f"codec: {codec}\n")
    return project


def tables(manifest: dict[str, Any]) -> dict[str, str]:
    """The digests of the tables, by the names of their layers."""
    found = {}
    for each in manifest["layers"]:
        notes = each["annotations"]
        chunked = "chunked" in notes["io.modelcrate.layer.codec"]
        assert [chunked] * 3 == [name in notes for name in (DIGEST, PLACE, SPLIT)]
        if chunked:
            found[notes["io.modelcrate.layer.name"]] = notes[DIGEST]
    return found


def test_it_is_the_same_made_known_and_taken_from_a_registry(host: str, tmp_path: Path) -> None:
    project = with_codec(served(tmp_path / "project"), "zstd:chunked")
    name, home = f"{host}/chunked/image:1", settings(tmp_path, "home")
    first = modelcrate.build(project, push=name, settings=home)
    manifest = json.loads(first.image.images[0].manifest.data)
    assert len(tables(manifest)) == len(manifest["layers"])
    assert_valid_found(find(name, Connections(home)))
    known = modelcrate.build(project, outputs=f"oci:{tmp_path}/known:1", settings=home)
    taken = modelcrate.build(project, push=name, settings=settings(tmp_path, "other"))
    assert first.digest == known.digest == taken.digest
    assert {each.origin for each in taken.layers} == {"reused"}
    assert assert_valid_layout(tmp_path / "known").images == 1


def test_it_changes_no_image_id_and_takes_no_layer_without_a_table(host: str, tmp_path: Path) -> None:
    project, name = served(tmp_path / "project"), f"{host}/chunked/other:1"
    with_codec(project, "zstd")
    plain = modelcrate.build(project, push=name, settings=settings(tmp_path, "home"))
    text = (project / "modelcrate.yaml").read_text()
    (project / "modelcrate.yaml").write_text(text.replace("codec: zstd", "codec: {default: zstd:chunked}"))
    made = modelcrate.build(project, push=name, settings=settings(tmp_path, "home"))
    manifest = json.loads(made.image.images[0].manifest.data)
    assert len(tables(manifest)) == len(manifest["layers"])
    assert made.id == plain.id
    assert [each.key for each in made.layers] == [each.key for each in plain.layers]
    assert not {each.descriptor.digest for each in made.layers} & {each.descriptor.digest for each in plain.layers}
    assert_valid_found(find(name, Connections(settings(tmp_path, "home"))))
