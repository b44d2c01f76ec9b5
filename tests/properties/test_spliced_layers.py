"""Laws of rows: whatever wheel they are made of, they unpack to the tar, and any rest of them is a slice."""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelcrate_layers.errors import CrateError
from modelcrate_layers.kinds.wheels import WheelsLayer
from modelcrate_layers.tar import codec, splice
from modelcrate_layers.tar.codec import ESTARGZ, SPLICED
from modelcrate_layers.tar.recipe import Recipe, RecipeBlob, measure
from modelcrate_layers.tar.tree import Tree
from modelcrate_layers.tar.writer import Tar
from support.estargz import assert_valid_estargz
from support.trees import trees
from support.wheels import store, wheel_bytes

names = st.lists(st.text("abü_-. ", min_size=1, max_size=60).map(lambda text: f"x{text}x"), min_size=1, max_size=3).map(
    "/".join
)
contents = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=300).map(str.encode),
    st.integers(0, 100_000).map(bytes),
    st.just(b"#!python\nprint(1)\n"),
)
files = st.dictionaries(names, contents, max_size=8).filter(
    lambda found: not any(one != two and two.startswith(f"{one}/") for one in found for two in found)
)
lawful = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@given(files, st.data())
@lawful
def test_a_row_unpacks_to_the_tar_and_splits_anywhere(found: dict[str, bytes], data: st.DataObject) -> None:
    def packed(name: str, info: zipfile.ZipInfo) -> None:
        info.compress_type = data.draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))

    scripts = {f"demo-1.0.data/scripts/{name.rpartition('/')[2]}-s": body for name, body in found.items()}
    made = wheel_bytes("demo", files={**found, **scripts}, infos=packed)
    with tempfile.TemporaryDirectory() as folder:
        tree = WheelsLayer((store(Path(folder), "demo", "1.0", made),), "3.11").tree()
        recipe = Recipe(tree, SPLICED)
        layer = measure(recipe)
        row = b"".join(RecipeBlob(recipe, layer).chunks())
        for _ in range(5):
            start = data.draw(st.integers(0, len(row)))
            assert b"".join(recipe.chunks(start)) == row[start:]
        indexed = Recipe.of(tree, ESTARGZ)
        measured = measure(indexed)
        assert_valid_estargz(b"".join(RecipeBlob(indexed, measured).chunks()), measured.descriptor.annotations)
        tar = b"".join(Tar(tree.entries))
    rest, plain = row, b""
    while rest:
        unpack = zlib.decompressobj(31)
        plain += unpack.decompress(rest) + unpack.flush()
        assert unpack.eof
        rest = unpack.unused_data
    assert plain == tar
    assert layer.descriptor.size == len(row)
    assert layer.tar_size == len(tar)
    assert b"".join(codec.decode(row[at : at + 7] for at in range(0, len(row), 7))) == tar


@given(trees())
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_any_tree_has_a_row(tree: Tree) -> None:
    row = b"".join(Recipe(tree, SPLICED).chunks())
    assert b"".join(codec.decode([row])) == b"".join(Tar(tree.entries))
    for start in (1, len(row) // 2, len(row) - 1):
        assert b"".join(splice.stream(tree.entries, start)) == row[start:]


@given(
    st.binary(max_size=2000).map(lambda data: data.translate(bytes(at & 0x7F if at % 3 else 0 for at in range(256))))
)
@lawful
def test_any_ascii_is_packed(literal: bytes) -> None:
    unpack = zlib.decompressobj(-15)
    assert unpack.decompress(splice.pack(literal)) == literal
    assert unpack.eof
    assert not unpack.unused_data


PLAIN = wheel_bytes("demo", files={"demo/a.py": b"a = 1\n" * 50, "demo/b.bin": bytes(range(256)) * 8})


@given(st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_damaged_wheel_has_a_right_row_or_none(data: st.DataObject) -> None:
    damaged = bytearray(PLAIN)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        try:
            tree = WheelsLayer((store(Path(folder), "demo", "1.0", bytes(damaged)),), "3.11").tree()
            recipe = Recipe(tree, SPLICED)
            layer = measure(recipe)
        except CrateError:
            return
        row = b"".join(RecipeBlob(recipe, layer).chunks())
        assert b"".join(codec.decode([row])) == b"".join(Tar(tree.entries))
