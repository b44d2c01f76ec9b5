"""An eStargz layer: its table and footer by the rules, every chunk by its digest, and plain gzip and tar for all who know nothing of it."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import pytest

from modelcrate_layers.content import CHUNK
from modelcrate_layers.errors import SourceError
from modelcrate_layers.kinds.wheels import WheelsLayer
from modelcrate_layers.tar.codec import ESTARGZ, NONE, SPLICED, of_policy
from modelcrate_layers.tar.estargz import INDEX, LANDMARK
from modelcrate_layers.tar.recipe import Recipe, RecipeBlob, measure
from modelcrate_layers.tar.sources import Bytes, FileRange
from modelcrate_layers.tar.tree import Tree, directory, file, hard_link, symlink
from support.estargz import assert_valid_estargz
from support.images import noise
from support.wheels import rich, store, wheel_bytes

GOLDEN = "sha256:55204da87a40e8bf307bfead4bc0168a60da79f102fc66820d5295c8a76169b5"
"""It moves with the rules of `estargz` and `splice` alone, and then their version does, too."""


def wheel_tree(folder: Path) -> Tree:
    files = {"demo/a.py": b"a = 1\n" * 300, "demo/empty.py": b"", "demo/ü.py": b"u = 1\n", "demo/big": noise(3 * CHUNK)}
    one = store(folder, "demo", "1.0", wheel_bytes("demo", files=files))
    return WheelsLayer((one, rich(folder)), "3.11").tree()


def blob(recipe: Recipe) -> bytes:
    return b"".join(RecipeBlob(recipe, measure(recipe)).chunks())


def test_a_layer_of_wheels_is_one(tmp_path: Path) -> None:
    tree = wheel_tree(tmp_path)
    recipe = Recipe.of(tree, ESTARGZ)
    layer = measure(recipe)
    data = blob(recipe)
    table = assert_valid_estargz(data, layer.descriptor.annotations)
    assert layer.descriptor.media_type.endswith("tar+gzip")
    assert len(table) == len(tree.entries) + 1
    assert layer.tar_size == len(gzip.decompress(data))


def test_it_is_the_row_with_a_table_and_a_landmark(tmp_path: Path) -> None:
    """So it costs what these cost: some 400 bytes a file."""
    tree = wheel_tree(tmp_path)
    plain, indexed = measure(Recipe(tree, SPLICED)), measure(Recipe.of(tree, ESTARGZ))
    added = indexed.descriptor.size - plain.descriptor.size
    assert 0 < added < 600 * len(tree.entries) + 4000
    assert indexed.diff_id != plain.diff_id == measure(Recipe(tree, NONE)).diff_id


def test_it_begins_anywhere(tmp_path: Path) -> None:
    recipe = Recipe.of(wheel_tree(tmp_path), ESTARGZ)
    whole = blob(recipe)
    for start in (
        0,
        1,
        5000,
        len(whole) // 2,
        len(whole) - 52,
        len(whole) - 51,
        len(whole) - 50,
        len(whole) - 1,
        len(whole),
    ):
        assert b"".join(recipe.chunks(start)) == whole[start:], start


def test_every_kind_of_entry_is_in_the_table(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"weights")
    entries = [
        directory(b"opt"),
        file(b"opt/a", FileRange.of_file(str(tmp_path / "model.bin")), 0o775),
        file(b"opt/empty", Bytes(b"")),
        hard_link(b"opt/hard", b"opt/a"),
        symlink(b"opt/link", b"a"),
    ]
    recipe = Recipe.of(Tree.of(entries), ESTARGZ)
    table = assert_valid_estargz(blob(recipe), measure(recipe).descriptor.annotations)
    assert table["opt/a"]["size"] == 7
    assert table["opt/hard"]["linkName"] == "opt/a"
    assert "size" not in table["opt/empty"]


def test_a_layer_without_files_is_one() -> None:
    recipe = Recipe.of(Tree.of([directory(b"opt")]), ESTARGZ)
    assert set(assert_valid_estargz(blob(recipe), measure(recipe).descriptor.annotations)) == {
        LANDMARK.decode(),
        "opt/",
    }


def test_the_bytes_are_a_promise() -> None:
    entries = [file(b"opt/a", Bytes(b"a" * 100_000)), file(b"opt/b", Bytes(b"b")), symlink(b"opt/c", b"b")]
    assert str(measure(Recipe.of(Tree.of(entries), ESTARGZ)).descriptor.digest) == GOLDEN


def test_what_can_not_be_in_a_table_is_refused() -> None:
    with pytest.raises(SourceError, match="no UTF-8") as refused:
        Recipe.of(Tree.of([file(b"opt/\xff", Bytes(b"a"))]), ESTARGZ)
    assert "auto-gzip" in refused.value.hint
    for path in (b"usr/a", INDEX):
        with pytest.raises(SourceError, match="comes last"):
            Recipe.of(Tree.of([file(path, Bytes(b"a"))]), ESTARGZ)


def test_gnu_tar_reads_it_as_any_layer(tmp_path: Path) -> None:
    tree = wheel_tree(tmp_path)
    (tmp_path / "layer.tar.gz").write_bytes(blob(Recipe.of(tree, ESTARGZ)))
    listed = subprocess.run(["tar", "-tzf", tmp_path / "layer.tar.gz"], capture_output=True, text=True, check=True)
    assert not listed.stderr
    assert len(listed.stdout.splitlines()) == len(tree.entries) + 2


def test_the_setting_is_for_what_is_deflated_already() -> None:
    assert of_policy("estargz", deflated=True) == (ESTARGZ,)
    assert of_policy("estargz") == of_policy("auto-gzip")
