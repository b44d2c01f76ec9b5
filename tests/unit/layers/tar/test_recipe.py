"""Recipes: facts from one pass, any range of the bytes, the choice by evidence, and records that may be damaged."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modelcrate_layers.content import CHUNK, Descriptor, Digest
from modelcrate_layers.errors import IntegrityError, SourceError
from modelcrate_layers.tar import codec, recipe
from modelcrate_layers.tar.recipe import SAMPLE, WORTH, Layer, Measuring, Recipe, RecipeBlob, evidence, measure
from modelcrate_layers.tar.sources import Bytes, FileRange, Stamp
from modelcrate_layers.tar.tree import Tree, directory, file, hard_link, symlink
from support.images import noise
from support.trees import odd_tree

CODECS = ["none", "stored", "spliced", "gzip", "zstd"]


def made(name: str, tree: Tree | None = None) -> Recipe:
    return Recipe(tree or odd_tree(), codec.named(name))


def on_disk(folder: Path, data: bytes, name: str = "model.bin") -> Tree:
    (folder / name).write_bytes(data)
    return Tree.of([file(name.encode(), FileRange.of_file(str(folder / name)))])


@pytest.mark.parametrize("name", CODECS)
def test_measuring_gives_what_the_bytes_are(name: str) -> None:
    wanted = made(name)
    layer, stored = measure(wanted), b"".join(wanted.chunks())
    plain = b"".join(wanted.tar)
    assert layer.descriptor == Descriptor.of(stored, codec.named(name).media_type)
    assert layer.diff_id == Digest.of(plain)
    assert layer.tar_size == len(plain)
    assert (layer.diff_id == layer.descriptor.digest) is (name == "none")


@pytest.mark.parametrize("name", CODECS)
def test_the_pass_hands_over_the_bytes_that_it_measures(name: str) -> None:
    passing = Measuring.of(made(name))
    data = b"".join(passing)
    assert passing.descriptor == passing.layer.descriptor == Descriptor.of(data, codec.named(name).media_type)


def test_the_length_is_known_beforehand_only_without_compression() -> None:
    lengths = {name: Measuring.of(made(name)).length for name in CODECS}
    assert lengths == {"none": made("none").tar.size, "stored": None, "spliced": None, "gzip": None, "zstd": None}


def test_a_pass_that_has_not_ended_has_no_facts() -> None:
    passing = Measuring.of(made("none"))
    next(iter(passing))
    with pytest.raises(AssertionError):
        _ = passing.layer


@pytest.mark.parametrize("name", CODECS)
def test_a_range_is_a_slice_of_the_whole(name: str) -> None:
    wanted = made(name)
    blob = RecipeBlob(wanted, measure(wanted))
    data = b"".join(blob.chunks())
    for start in (0, 1, 511, 512, len(data) // 2, len(data) - 1, len(data), len(data) + 9):
        assert b"".join(blob.chunks(start)) == data[start:]
        assert b"".join(wanted.chunks(start)) == data[start:]


def test_the_diff_id_does_not_depend_on_the_codec() -> None:
    assert len({measure(made("none").stored(codec.named(name))).diff_id for name in CODECS}) == 1


@pytest.mark.parametrize("name", CODECS)
def test_a_file_that_changed_is_named_while_its_layer_is_sent(tmp_path: Path, name: str) -> None:
    tree = on_disk(tmp_path, noise(2 * CHUNK))
    blob = RecipeBlob(made(name, tree), measure(made(name, tree)))
    (tmp_path / "model.bin").write_bytes(noise(2 * CHUNK, seed=7))
    with pytest.raises(SourceError, match="changed") as refused:
        list(blob.chunks())
    assert refused.value.where.endswith("model.bin")


def test_bytes_that_are_not_the_layers_do_not_end_well() -> None:
    layer = measure(made("none"))
    other = Recipe(Tree.of([file(b"other", Bytes(b"x"))]), codec.NONE)
    with pytest.raises(IntegrityError):
        list(RecipeBlob(other, layer).chunks())


def test_a_layer_is_written_and_read_the_same_way() -> None:
    layer = measure(made("zstd"))
    assert Layer.parse(layer.json()) == layer


@pytest.mark.parametrize(
    "damage",
    [
        {"codec": None},
        {"codec": {"name": "zstd"}},
        {"codec": {"name": "zstd", "version": "1", "level": "x"}},
        {"diff_id": "sha256:../x"},
        {"diff_id": None},
        {"tar_size": "x"},
        {"tar_size": None},
        {"descriptor": {}},
    ],
)
def test_the_record_of_a_layer_that_is_damaged_is_refused(damage: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError):
        Layer.parse({**measure(made("none")).json(), **damage})
    with pytest.raises(IntegrityError):
        Layer.parse(["not", "a", "record"])


def worth_compressing(tree: Tree) -> bool:
    return evidence(tree) >= WORTH


@pytest.mark.parametrize("size", [1000, 4 * SAMPLE])
def test_text_is_worth_compressing_and_noise_is_not(tmp_path: Path, size: int) -> None:
    assert worth_compressing(on_disk(tmp_path, b"words " * (size // 6), "text"))
    assert not worth_compressing(on_disk(tmp_path, noise(size), "noise"))


def test_what_is_worth_it_is_seen_in_the_bytes_and_not_in_the_name(tmp_path: Path) -> None:
    assert worth_compressing(on_disk(tmp_path, b"words " * 9999, "model.gz"))
    assert not worth_compressing(on_disk(tmp_path, noise(60_000), "model.txt"))


def test_the_head_of_a_large_file_does_not_decide_alone(tmp_path: Path) -> None:
    assert worth_compressing(on_disk(tmp_path, noise(SAMPLE) + b"words " * SAMPLE))


def test_a_tree_without_bytes_is_not_worth_it() -> None:
    assert not worth_compressing(Tree.of([directory(b"a"), symlink(b"b", b"a"), file(b"c", Bytes(b""))]))


@dataclass(frozen=True)
class Read:
    """A source that notes how much of it was taken."""

    size: int
    taken: list[int]

    def chunks(self) -> Iterator[bytes]:
        for _ in range(self.size // CHUNK):
            self.taken.append(CHUNK)
            yield bytes(CHUNK)


def test_a_sample_reads_no_more_than_it_needs() -> None:
    taken: list[int] = []
    assert worth_compressing(Tree.of([file(b"a", Read(64 * CHUNK, taken))]))
    assert sum(taken) == CHUNK


def test_a_listing_says_all_that_decides_a_tree(tmp_path: Path) -> None:
    tree = on_disk(tmp_path, b"abc")
    entry = tree.entries[0]
    assert isinstance(entry.source, FileRange)
    stamp = entry.source.stamp
    others = [
        entry._replace(mode=0o775),
        entry._replace(uid=1),
        entry._replace(path=b"other"),
        entry._replace(source=entry.source._replace(stamp=stamp._replace(mtime_ns=stamp.mtime_ns + 1))),
        entry._replace(source=entry.source._replace(stamp=stamp._replace(ctime_ns=stamp.ctime_ns + 1))),
        entry._replace(source=entry.source._replace(stamp=stamp._replace(inode=stamp.inode + 1))),
        entry._replace(source=Bytes(b"abc")),
        entry._replace(source=Bytes(b"abd")),
        hard_link(b"other", b"model.bin"),
        directory(b"model.bin"),
    ]
    listings = [recipe.fingerprint(Tree.of([entry]).entries)]
    listings += [recipe.fingerprint(Tree.of([entry, each] if each.link else [each]).entries) for each in others]
    assert len(set(listings)) == len(listings)


def test_a_listing_reads_no_file(tmp_path: Path) -> None:
    tree = on_disk(tmp_path, b"abc")
    (tmp_path / "model.bin").unlink()
    assert recipe.fingerprint(tree.entries)


def test_keys_are_equal_for_equal_inputs_only() -> None:
    keys = [recipe.key("a", {"x": 1, "y": 2}), recipe.key("a", {"y": 2, "x": 1}), recipe.key("b", {"x": 1, "y": 2})]
    assert keys[0] == keys[1] != keys[2]
    assert keys[0] == Digest("sha256", hashlib.sha256(b'{"inputs":{"x":1,"y":2},"kind":"a","tar":1}').hexdigest())


@pytest.mark.parametrize("seconds", [1 << 35, 9223372037, -(1 << 31), (1 << 60) + 1])
def test_a_file_of_any_date_has_a_fingerprint(seconds: int) -> None:
    """File systems keep dates that no 64 bits of nanoseconds hold."""
    near = FileRange("a", Stamp(1, 2, 3, 0, 0), 0, 3)
    far = near._replace(stamp=Stamp(1, 2, 3, seconds * 1_000_000_000, 0))
    assert recipe.fingerprint([file(b"a", far)]) != recipe.fingerprint([file(b"a", near)])
