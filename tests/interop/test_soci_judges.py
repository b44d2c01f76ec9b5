"""flatc reads a table of a layer by the schema of soci-snapshotter, and what it writes of that says the same. The snapshotter's own code is run by hand (docs/shapes.md)."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from modelcrate_layers.tar.codec import NONE, SPLICED
from modelcrate_layers.tar.recipe import Recipe
from modelcrate_layers.tar.sources import Bytes
from modelcrate_layers.tar.tree import Tree, directory, file, hard_link, symlink
from modelcrate_layers.tar.ztoc import make_ztoc
from support import golden
from support.images import noise
from support.soci import SCHEMA, assert_valid_ztoc
from support.tools import call, need

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("codec", [NONE, SPLICED], ids=str)
def test_flatc_reads_a_table(codec: Any, tmp_path: Path) -> None:
    need("flatc")
    tree = Tree.of(
        [
            *golden.zipped().entries,
            directory(b"weights"),
            file("weights/ü".encode(), Bytes(noise(9 << 20))),
            hard_link("weights/ü2".encode(), "weights/ü".encode()),
            symlink(b"weights/link", b"../x"),
        ]
    )
    blob = b"".join(Recipe(tree, codec).chunks())
    table = make_ztoc([blob], "none" if codec == NONE else "gzip", rows=True)
    assert_valid_ztoc(blob, table)
    first, second = (_as_json(tmp_path / name, table) for name in ("one", "two"))
    assert first == second
    (tmp_path / "again.json").write_text(json.dumps(first))
    call("flatc", "--binary", "-o", tmp_path, tmp_path / "one.fbs", tmp_path / "again.json")
    assert _as_json(tmp_path / "three", (tmp_path / "again.bin").read_bytes()) == first, (
        "flatc's own buffer says the same"
    )
    assert [each["name"] for each in first["toc"]["metadata"]] == [
        _tar_name(each.path, each.kind.value) for each in tree.entries
    ]
    assert first["uncompressed_archive_size"] == Recipe(tree, codec).tar.size
    assert first["compression_info"]["max_span_id"] == len(first["compression_info"]["span_digests"]) - 1
    assert first["compression_info"]["compression_algorithm"] == ("Uncompressed" if codec == NONE else "Gzip")


def _tar_name(path: bytes, kind: bytes) -> str:
    return path.decode() + "/" * (kind == tarfile.DIRTYPE)


def _as_json(place: Path, table: bytes) -> dict[str, Any]:
    place.with_suffix(".fbs").write_text(SCHEMA)
    place.with_suffix(".bin").write_bytes(table)
    call(
        *("flatc", "--json", "--strict-json", "--defaults-json", "--natural-utf8", "--raw-binary", "-o", place.parent),
        *(place.with_suffix(".fbs"), "--", place.with_suffix(".bin")),
    )
    found: dict[str, Any] = json.loads(place.with_suffix(".json").read_text())
    return found
