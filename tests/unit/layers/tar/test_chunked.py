"""A zstd:chunked layer: table, tar-split and footer by the rules, every chunk by its digest, and plain zstd and tar for all who know nothing of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from modelcrate_layers.content import CHUNK
from modelcrate_layers.errors import SourceError
from modelcrate_layers.kinds.wheels import WheelsLayer
from modelcrate_layers.tar.chunked import LEAST, MOST, cut
from modelcrate_layers.tar.codec import NONE, of_policy, zstd, zstd_chunked
from modelcrate_layers.tar.recipe import Measuring, Recipe, RecipeBlob, measure
from modelcrate_layers.tar.sources import Bytes, FileRange
from modelcrate_layers.tar.tree import Tree, directory, file, hard_link, symlink
from support.chunked import assert_valid_chunked
from support.images import noise
from support.wheels import rich, store, wheel_bytes

GOLDEN = "sha256:cbc1eb4c332a2e9327c34f67076f2816300788539f460c1071de56d436ae3736"
"""It moves with zstd's version and with the rules of `chunked`."""


def wheel_tree(folder: Path) -> Tree:
    files = {"demo/a.py": b"a = 1\n" * 300, "demo/empty.py": b"", "demo/ü.py": b"u = 1\n", "demo/big": noise(3 * CHUNK)}
    one = store(folder, "demo", "1.0", wheel_bytes("demo", files=files))
    return WheelsLayer((one, rich(folder)), "3.11").tree()


def made(tree: Tree) -> tuple[Recipe, bytes, dict[str, str]]:
    recipe = Recipe.of(tree, zstd_chunked())
    layer = measure(recipe)
    return recipe, b"".join(RecipeBlob(recipe, layer).chunks()), dict(layer.descriptor.annotations)


def test_a_layer_of_wheels_is_one(tmp_path: Path) -> None:
    tree = wheel_tree(tmp_path)
    _, data, notes = made(tree)
    files = assert_valid_chunked(data, notes)
    assert len(files) == len(tree.entries)
    (big,) = (lines for name, lines in files.items() if name.endswith("demo/big"))
    assert len(big) > 1
    assert all(LEAST <= each["chunkSize"] <= MOST for each in big[:-1])


def test_the_tar_is_that_of_every_other_codec(tmp_path: Path) -> None:
    tree = wheel_tree(tmp_path)
    layer, plain = measure(Recipe.of(tree, zstd_chunked())), measure(Recipe(tree, zstd()))
    assert (layer.diff_id, layer.tar_size) == (plain.diff_id, plain.tar_size)
    assert layer.descriptor.media_type == plain.descriptor.media_type
    assert plain.diff_id == measure(Recipe(tree, NONE)).diff_id
    assert str(layer.codec) == f"{plain.codec}+chunked-1"


def test_it_begins_anywhere(tmp_path: Path) -> None:
    recipe, whole, _ = made(wheel_tree(tmp_path))
    for start in (0, 1, 5000, len(whole) // 2, len(whole) - 72, len(whole) - 1, len(whole)):
        assert b"".join(recipe.chunks(start)) == whole[start:], start


def test_a_pass_reads_every_byte_once_and_holds_a_chunk() -> None:
    """It counts what it takes, and what it has given back by then."""
    size, taken, given, behind = 20 * CHUNK, 0, 0, 0

    class Counted:
        def __init__(self) -> None:
            self.size = size

        def chunks(self):  # type: ignore[no-untyped-def]
            nonlocal taken
            for number in range(size // CHUNK):
                taken += CHUNK
                yield noise(CHUNK, number)

    recipe = Recipe.of(Tree.of([file(b"big", Counted())]), zstd_chunked())
    for piece in Measuring.of(recipe):
        given += len(piece)
        behind = max(behind, taken - given)
    assert taken == size
    assert behind <= MOST + 2 * CHUNK


def test_every_kind_of_entry_is_in_the_table(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"weights")
    entries = [
        directory(b"opt"),
        file(b"opt/a", FileRange.of_file(str(tmp_path / "model.bin")), 0o775),
        file(b"opt/empty", Bytes(b"")),
        hard_link(b"opt/hard", b"opt/a"),
        symlink(b"opt/link", b"a"),
        file(b"opt/" + b"n" * 120, Bytes(b"long name")),
    ]
    _, data, notes = made(Tree.of(entries))
    files = assert_valid_chunked(data, notes)
    assert [each["size"] for each in files["opt/a"]] == [7]
    assert files["opt/hard"][0]["linkName"] == "opt/a"
    assert "size" not in files["opt/empty"][0]


def test_a_layer_without_files_is_one() -> None:
    for tree in (Tree(()), Tree.of([directory(b"opt")])):
        _, data, notes = made(tree)
        assert len(assert_valid_chunked(data, notes)) == len(tree.entries)


def test_many_headers_without_a_file_are_several_frames() -> None:
    tree = Tree.of([symlink(b"l%05d" % each, b"x") for each in range(2500)])
    _, data, notes = made(tree)
    assert len(assert_valid_chunked(data, notes)) == 2500


def test_what_follows_an_insertion_is_cut_as_before() -> None:
    body = noise(16 * CHUNK)
    before, after = ({*cut([data], len(data))} for data in (body, b"header" * 1000 + body))
    kept = sum(map(len, before & after))
    assert kept > 0.7 * len(body)
    assert sum(map(len, before)) == len(body)


def test_chunks_do_not_depend_on_how_the_bytes_come() -> None:
    body = noise(3 * CHUNK) + bytes(9 * CHUNK)
    whole = list(cut([body], len(body)))
    assert whole == list(cut((body[at : at + 777] for at in range(0, len(body), 777)), len(body)))
    assert b"".join(whole) == body
    assert all(LEAST <= len(each) <= MOST for each in whole[:-1])


def test_the_bytes_are_a_promise() -> None:
    texts = b"".join(b"%d %x\n" % (each, each * each) for each in range(200_000))
    entries = [file(b"opt/a", Bytes(texts)), file(b"opt/b", Bytes(b"b")), symlink(b"opt/c", b"b")]
    big = file(b"opt/d", Bytes(noise(3 * CHUNK)))
    layer = measure(Recipe.of(Tree.of([*entries, big]), zstd_chunked()))
    assert str(layer.codec) == "zstd-3@1.5.7+chunked-1"
    assert str(layer.descriptor.digest) == GOLDEN


def test_what_can_not_be_in_a_table_is_refused() -> None:
    for bad in (file(b"opt/\xff", Bytes(b"a")), symlink(b"opt/l", b"\xff")):
        with pytest.raises(SourceError, match="no UTF-8") as refused:
            Recipe.of(Tree.of([bad]), zstd_chunked())
        assert "zstd instead of zstd:chunked" in refused.value.hint


def test_gnu_tar_reads_it_as_any_layer(tmp_path: Path) -> None:
    tree = wheel_tree(tmp_path)
    (tmp_path / "layer.tar.zst").write_bytes(made(tree)[1])
    listed = subprocess.run(
        ["tar", "--zstd", "-tf", tmp_path / "layer.tar.zst"], capture_output=True, text=True, check=True
    )
    assert not listed.stderr
    assert len(listed.stdout.splitlines()) == len(tree.entries)


def test_the_setting_is_for_every_layer() -> None:
    assert of_policy("zstd:chunked") == of_policy("zstd:chunked", deflated=True) == (zstd_chunked(),)
    assert zstd_chunked().chunked
    assert not zstd().chunked
