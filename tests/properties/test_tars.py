"""Laws of layers that hold for any tree."""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Iterator
from contextlib import suppress

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.tar import codec
from modelcrate_layers.tar.checksum import byte_sum
from modelcrate_layers.tar.reader import read_tar
from modelcrate_layers.tar.recipe import Recipe, measure
from modelcrate_layers.tar.sources import Bytes, read
from modelcrate_layers.tar.tree import Entry, Kind, Tree, file
from modelcrate_layers.tar.writer import Tar, _block, _record, header, lay_out, stream
from support.trees import entries, trees

lawful = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def whole(tree: Tree) -> bytes:
    return b"".join(Tar(tree.entries))


@given(trees())
@lawful
def test_what_is_written_is_read_back(tree: Tree) -> None:
    read_back = [
        Entry(
            member.name.rstrip(b"/"),
            Kind(member.kind.value),
            member.mode,
            Bytes(b"".join(member.body)) if member.kind.value == b"0" else None,
            member.link,
            member.uid,
            member.gid,
        )
        for member in read_tar([whole(tree)])
    ]
    assert read_back == list(tree.entries)


@given(trees())
@lawful
def test_members_at_their_places_are_the_tar(tree: Tree) -> None:
    members, size = lay_out(tree.entries)
    made = bytearray(size)
    for entry, head, at in members:
        made[at - len(head) : at] = head
        if entry.source is not None:
            made[at : at + entry.size] = read(entry.source)
    assert made == whole(tree)


@given(trees())
@lawful
def test_the_standard_library_reads_the_same(tree: Tree) -> None:
    def raw(text: str) -> bytes:
        return text.encode("utf-8", "surrogateescape")

    with tarfile.open(fileobj=io.BytesIO(whole(tree)), errors="surrogateescape", encoding="utf-8") as archive:
        for entry, member in zip(tree.entries, archive, strict=True):
            assert raw(member.name) == entry.path.rstrip(b"/")
            assert member.type == entry.kind.value
            assert (member.mode, member.uid, member.gid, member.size) == (entry.mode, entry.uid, entry.gid, entry.size)
            if entry.kind is Kind.SYMLINK:
                assert raw(member.linkname).rstrip(b"/") == entry.link.rstrip(b"/")
            if entry.source is not None:
                body = archive.extractfile(member)
                assert body is not None
                assert body.read() == read(entry.source)


@given(entries(), st.randoms(use_true_random=False))
@lawful
def test_the_order_in_which_entries_are_found_does_not_matter(found: list[Entry], chance: random.Random) -> None:
    first = whole(Tree.of(found))
    chance.shuffle(found)
    assert whole(Tree.of(found)) == first


@given(trees())
@lawful
def test_the_size_is_known_beforehand(tree: Tree) -> None:
    assert Tar(tree.entries).size == len(whole(tree))


@given(trees(), st.floats(0, 1), st.sampled_from(["none", "stored", "gzip", "zstd"]))
@lawful
def test_the_bytes_from_an_offset_are_the_end_of_the_whole(tree: Tree, place: float, name: str) -> None:
    recipe = Recipe(tree, codec.named(name))
    data = b"".join(recipe.chunks())
    start = int(place * len(data))
    assert b"".join(recipe.chunks(start)) == data[start:]
    if name == "none":
        assert b"".join(stream(tree.entries, start)) == data[start:]


@given(trees())
@lawful
def test_every_header_has_a_right_checksum(tree: Tree) -> None:
    for entry in tree.entries:
        head = header(entry)
        assert len(head) % 512 == 0
        for block in (head[:512], head[-512:]):
            assert int(block[148:154], 8) == sum(block) - sum(block[148:156]) + 8 * 32


@given(st.binary(min_size=512, max_size=512))
def test_the_quick_sum_is_the_sum(block: bytes) -> None:
    assume(max(sum(block[:256]), sum(block[256:])) < 65520)
    assert byte_sum(block) == sum(block)


def test_the_quick_sum_holds_for_the_largest_header_that_there_can_be() -> None:
    """Name, link and prefix full of the largest byte: whatever a header holds, half of it stays below the modulus."""
    for fill in (b"\xff", b"\x7f", b"\0"):
        block = _block(fill * 100, fill * 155, 0o1777, 0o7777777, 0o7777777, (8 << 30) - 1, b"0", fill * 100)
        assert int(block[148:154], 8) == sum(block) - sum(block[148:156]) + 8 * 32


@given(st.binary(min_size=1, max_size=20).filter(lambda key: b"=" not in key), st.binary(max_size=2000))
def test_a_record_tells_its_own_length(key: bytes, value: bytes) -> None:
    record = _record(key, value)
    told, rest = record.split(b" ", 1)
    assert int(told) == len(record)
    assert rest == key + b"=" + value + b"\n"


@given(trees(), trees(), st.sampled_from(["none", "gzip", "zstd"]))
@lawful
def test_a_layer_on_top_changes_no_lower_one(lower: Tree, upper: Tree, name: str) -> None:
    def stack(*wanted: Tree) -> list[object]:
        return [measure(Recipe(tree, codec.named(name))) for tree in wanted]

    assert stack(lower, upper)[:1] == stack(lower)


@given(st.binary(max_size=3000), st.integers(1, 700), st.sampled_from(["none", "gzip", "zstd"]))
@lawful
def test_any_chunking_gives_the_same_stored_bytes_and_reads_back(data: bytes, step: int, name: str) -> None:
    def cut(data: bytes) -> Iterator[bytes]:
        return (data[at : at + step] for at in range(0, len(data), step))

    stored = b"".join(codec.named(name).encode(cut(data), len(data)))
    assert stored == b"".join(codec.named(name).encode([data], len(data)))
    assume(name != "none" or codec.sniff(data) == "none")
    assert b"".join(codec.decode(cut(stored))) == data


@given(st.binary(max_size=300), st.sampled_from([b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b""]))
@lawful
def test_garbage_is_bytes_or_an_error_of_ours(data: bytes, magic: bytes) -> None:
    with suppress(IntegrityError):
        b"".join(codec.decode([magic + data]))


@given(st.binary(min_size=1, max_size=600), st.integers(0, 599))
@lawful
def test_a_file_is_read_from_the_tar_where_the_reader_says(data: bytes, at: int) -> None:
    tree = Tree.of([file(b"a", Bytes(b"x" * at)), file(b"b", Bytes(data))])
    tar = whole(tree)
    members = list(read_tar([tar]))
    assert tar[members[1].offset : members[1].offset + members[1].size] == data
