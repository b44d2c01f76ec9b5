"""The tar policy, read back by the standard library: every byte of a header is decided, and decided once."""

from __future__ import annotations

import io
import tarfile

import pytest

from modelcrate_layers.content import CHUNK
from modelcrate_layers.tar import writer
from modelcrate_layers.tar.sources import Bytes
from modelcrate_layers.tar.tree import Entry, Kind, Tree, directory, file, hard_link, symlink
from modelcrate_layers.tar.writer import MTIME, Tar, header, stream
from support.images import noise
from support.trees import Claimed, odd_tree

TREE = odd_tree()


def whole(tree: Tree) -> bytes:
    return b"".join(Tar(tree.entries))


def test_the_size_is_known_from_the_entries_alone() -> None:
    assert Tar(TREE.entries).size == len(whole(TREE))
    assert Tar(()).size == len(b"".join(Tar(()))) == 1024


def test_a_tar_can_be_made_again_and_again() -> None:
    again = Tar(TREE.entries)
    assert b"".join(again) == b"".join(again)


def test_the_standard_library_reads_what_was_meant() -> None:
    with tarfile.open(fileobj=io.BytesIO(whole(TREE))) as archive:
        for entry, member in zip(TREE.entries, archive, strict=True):
            assert member.name.encode("utf-8", "surrogateescape") == entry.path
            assert member.linkname.encode("utf-8", "surrogateescape") == entry.link
            assert (member.type, member.mode, member.size) == (entry.kind.value, entry.mode, entry.size)
            assert (member.uid, member.gid, member.uname, member.gname) == (entry.uid, entry.gid, "", "")
            assert (member.mtime, member.devmajor, member.devminor) == (MTIME, 0, 0)


def test_a_plain_entry_takes_one_block_of_header() -> None:
    assert len(header(file(b"a" * 100, Bytes(b"x")))) == 512
    assert len(header(file(b"p" * 155 + b"/" + b"n" * 100, Bytes(b"x")))) == 512
    assert len(header(directory(b"d" * 99))) == 512


@pytest.mark.parametrize(
    ("entry", "record"),
    [
        (file(b"a" * 101, Bytes(b"")), b"path=" + b"a" * 101),
        (file(b"p" * 156 + b"/n", Bytes(b"")), b"path=" + b"p" * 156 + b"/n"),
        (file(b"/".join([b"p" * 80] * 4), Bytes(b"")), b"path=" + b"/".join([b"p" * 80] * 4)),
        (directory(b"d" * 100), b"path=" + b"d" * 100 + b"/"),
        (file("ü".encode(), Bytes(b"")), "path=ü".encode()),
        (symlink(b"a", b"t" * 101), b"linkpath=" + b"t" * 101),
        (symlink(b"a", "ü".encode()), "linkpath=ü".encode()),
        (file(b"a", Claimed(8 << 30)), b"size=8589934592"),
    ],
)
def test_records_are_added_only_for_what_the_old_format_cannot_say(entry: Entry, record: bytes) -> None:
    head = header(entry)
    assert len(head) == 512 * 3
    assert record + b"\n" in head[512:1024]
    assert b"hdrcharset" not in head


def test_a_name_that_is_not_utf8_says_so() -> None:
    assert header(file(b"\xff", Bytes(b"")))[512:].startswith(b"21 hdrcharset=BINARY\n")


def test_the_length_of_a_record_counts_itself_where_it_grows_a_digit() -> None:
    for length in (*range(85, 100), *range(980, 1000)):
        name = "ü".encode() + b"n" * length
        body = header(file(name, Bytes(b"")))[512:]
        told = int(body[: body.index(b" ")])
        assert body[:told] == b"%d path=%b\n" % (told, name)


@pytest.mark.parametrize("size", [8 << 30, (8 << 30) - 1, 3 << 40])
def test_sizes_over_8_gib_read_back(size: int) -> None:
    head = header(file(b"big", Claimed(size)))
    with tarfile.open(fileobj=io.BytesIO(head)) as archive:
        member = archive.next()
        assert member is not None
        assert member.size == size
    field = head[-512 + 124 : -512 + 136]
    assert (int.from_bytes(field[1:], "big") if field[0] == 0x80 else int(field[:11], 8)) == size
    assert Tar([file(b"big", Claimed(size))]).size == len(head) + size + -size % 512 + 1024


def test_small_things_are_gathered_and_large_ones_passed_on() -> None:
    tree = Tree.of([file(b"%05d" % at, Bytes(b"x")) for at in range(3000)])
    assert [len(chunk) for chunk in Tar(tree.entries)] == [CHUNK, CHUNK, Tar(tree.entries).size - 2 * CHUNK]
    large = Tree.of([file(b"a", Bytes(noise(4 * CHUNK)))])
    assert max(map(len, Tar(large.entries))) <= 2 * CHUNK


def test_a_stream_from_any_byte_on_is_the_rest() -> None:
    data = whole(TREE)
    starts = {0, 1, 511, 512, 513, len(data) - 1025, len(data) - 1024, len(data) - 1, len(data), len(data) + 5}
    for start in sorted(starts | set(range(0, len(data), 1013))):
        assert b"".join(stream(TREE.entries, start)) == data[start:]


def test_a_stream_that_begins_later_does_not_read_what_lies_before() -> None:
    entries = [file(b"a", Claimed(1 << 40)), file(b"b", Bytes(b"abc"))]
    start = len(header(entries[0])) + (1 << 40)
    assert b"".join(stream(entries, start)) == b"".join(stream(entries[1:]))


def test_the_policy_has_not_moved() -> None:
    """Byte by byte, for who changes a header has to mean it: POLICY, the golden digests and the changelog change with it."""
    assert writer.POLICY == 1
    assert header(Entry(b"a/b", Kind.FILE, 0o664, Bytes(b"abc"), uid=10001))[:345] == (
        b"a/b".ljust(100, b"\0") + b"0000664\0" + b"0023421\0" + b"0000000\0" + b"00000000003\0" + b"02263523001\0"
        b"007630\0 0" + bytes(100) + b"ustar\x0000" + bytes(64) + b"0000000\x000000000\0"
    )  # fmt: skip


def test_a_hard_link_names_its_file_and_has_no_bytes() -> None:
    head = header(hard_link(b"b", b"a"))
    assert head[156:158] == b"1a"
    assert int(head[124:135], 8) == 0
