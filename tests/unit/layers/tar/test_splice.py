"""A row of gzip members: its rules by hand, what is spliced and what is not, and streams that must not be."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modelcrate_layers.content import CHUNK
from modelcrate_layers.errors import IntegrityError, SourceError
from modelcrate_layers.kinds.wheels import WheelsLayer
from modelcrate_layers.tar import codec, splice
from modelcrate_layers.tar.codec import NONE, SPLICED, STORED
from modelcrate_layers.tar.recipe import Recipe, RecipeBlob, measure
from modelcrate_layers.tar.sources import Bytes, FileRange, ZipMember
from modelcrate_layers.tar.tree import Tree, directory, file
from modelcrate_layers.tar.writer import Tar, header
from support.images import noise
from support.wheels import rich, store, wheel_bytes

FILES = {"demo/a.py": b"a = 1\n" * 300, "demo/empty.py": b"", "demo/data.bin": noise(3 * CHUNK)}


def row(tree: Tree) -> bytes:
    return b"".join(Recipe(tree, SPLICED).chunks())


def members(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The members of a gzip file: each as it stands, and what it unpacks to."""
    while data:
        unpack = zlib.decompressobj(31)
        plain = unpack.decompress(data)
        assert unpack.eof
        yield data[: len(data) - len(unpack.unused_data)], plain
        data = unpack.unused_data


def wheel_tree(folder: Path, data: bytes) -> Tree:
    return WheelsLayer((store(folder, "demo", "1.0", data),), "3.11").tree()


def local_data(data: bytes, info: zipfile.ZipInfo) -> int:
    """Where the stream of a member begins."""
    names, extra = struct.unpack_from("<2H", data, info.header_offset + 26)
    return info.header_offset + 30 + int(names) + int(extra)


def test_a_block_of_headers_is_what_the_rules_say() -> None:
    """RFC 1951, 3.2.6, by hand: the literal `a` is 10010001, a zero 00110000; five zeros more are length 259 and distance 0."""
    bits = "1" + "10"  # the last block, of fixed codes: type 01, its lowest bit first
    bits += "10010001" + "00110000" + "0000011" + "00000" + "0000000"
    wanted = int(bits[::-1], 2).to_bytes(-(-len(bits) // 8), "little")
    assert splice.pack(b"a" + bytes(6)) == wanted


@pytest.mark.parametrize("zeros", range(700))
def test_runs_of_zeros_of_any_length_unpack_to_themselves(zeros: int) -> None:
    for data in (bytes(zeros), b"x" + bytes(zeros) + b"\x7f", bytes(zeros) + b"end"):
        unpack = zlib.decompressobj(-15)
        assert unpack.decompress(splice.pack(data)) == data
        assert unpack.eof
        assert not unpack.unused_data


def test_a_header_shrinks_to_a_third() -> None:
    assert len(splice.pack(header(file(b"some/path/of/a/wheel.py", Bytes(b"x"))))) < 170


def test_a_row_has_the_streams_of_the_wheel_as_they_are(tmp_path: Path) -> None:
    data = wheel_bytes("demo", files=FILES)
    tree = wheel_tree(tmp_path, data)
    found = list(members(row(tree)))
    assert b"".join(plain for _, plain in found) == b"".join(Tar(tree.entries))
    with zipfile.ZipFile(tmp_path / "demo-1.0-py3-none-any.whl") as archive:
        for name in ("demo/a.py", "demo/data.bin"):
            info = archive.getinfo(name)
            begin = local_data(data, info)
            stream = data[begin : begin + info.compress_size]
            frame = struct.pack("<2I", info.CRC, info.file_size)
            assert (b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + stream + frame, FILES[name]) in found


def test_no_library_has_a_say_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = wheel_tree(tmp_path, wheel_bytes("demo", files=FILES))
    layer = measure(Recipe(tree, SPLICED))

    def used(*_: object, **__: object) -> None:
        raise AssertionError("a library compresses, or inflates")

    monkeypatch.setattr("isal.isal_zlib.compressobj", used)
    monkeypatch.setattr("isal.isal_zlib.decompressobj", used)
    monkeypatch.setattr("zstandard.ZstdCompressor", used)
    assert b"".join(RecipeBlob(Recipe(tree, SPLICED), layer).chunks())
    assert str(layer.codec) == "gzip-0@spliced-1"


def test_files_that_no_wheel_has_go_in_stored_blocks(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(noise(2 * CHUNK + 5))
    tree = Tree.of(
        [
            file("ü/not-ascii".encode(), Bytes(b"text\n")),
            file(b"large", FileRange.of_file(str(tmp_path / "large"))),
            file(b"empty", Bytes(b"")),
        ]
    )
    data = row(tree)
    assert gzip.decompress(data) == b"".join(Tar(tree.entries))
    assert b"".join(STORED.encode([noise(2 * CHUNK + 5)], None)) in data


def test_members_that_the_zip_stores_are_stored(tmp_path: Path) -> None:
    def plain(name: str, info: zipfile.ZipInfo) -> None:
        info.compress_type = zipfile.ZIP_STORED

    tree = wheel_tree(tmp_path, wheel_bytes("demo", files=FILES, infos=plain))
    data = row(tree)
    assert gzip.decompress(data) == b"".join(Tar(tree.entries))
    assert b"".join(STORED.encode([FILES["demo/a.py"]], None)) in data


def test_a_row_of_nothing_but_folders_is_cut() -> None:
    tree = Tree.of(directory(b"%05d" % at) for at in range(2000))
    sizes = [len(plain) for _, plain in members(row(tree))]
    assert sum(sizes) == Tar(tree.entries).size
    assert max(sizes) <= splice.LITERAL + 1024


def test_any_rest_is_a_slice_and_files_before_it_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = WheelsLayer((rich(tmp_path),), "3.11").tree()
    data, recipe = row(tree), Recipe(tree, SPLICED)
    for start in [*range(0, len(data), 97), len(data) - 1, len(data), len(data) + 9]:
        assert b"".join(recipe.chunks(start)) == data[start:]
    monkeypatch.setattr(ZipMember, "packed_chunks", None)
    assert b"".join(recipe.chunks(len(data) - 1)) == data[-1:]


def test_it_is_known_by_one_tar_whatever_the_codec(tmp_path: Path) -> None:
    tree = WheelsLayer((rich(tmp_path),), "3.11").tree()
    spliced, plain = measure(Recipe(tree, SPLICED)), measure(Recipe(tree, NONE))
    assert (spliced.diff_id, spliced.tar_size) == (plain.diff_id, plain.tar_size)
    assert b"".join(codec.decode([row(tree)])) == b"".join(Tar(tree.entries))


class Pipe(io.RawIOBase):
    """What can't be sought: zipfile writes data descriptors behind the members (APPNOTE.TXT 4.3.9)."""

    def __init__(self) -> None:
        self.data = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += bytes(data)
        return len(data)


def repacked(out: Any, level: int, *, zip64: bool) -> None:
    """The same wheel, written by zipfile in another way."""
    source = zipfile.ZipFile(io.BytesIO(wheel_bytes("demo", files=FILES)))
    with source, zipfile.ZipFile(out, "w") as archive:
        for info in source.infolist():
            made = zipfile.ZipInfo(info.filename, info.date_time)
            made.compress_type, made.external_attr = zipfile.ZIP_DEFLATED, info.external_attr
            made._compresslevel = level  # type: ignore[attr-defined]  # the one way to set it for a stream
            made.extra = b"\xfe\xca\x04\0what"  # an extra field that nobody knows
            with archive.open(made, "w", force_zip64=zip64) as member:
                member.write(source.read(info))


@pytest.mark.parametrize("level", [0, 1, 9])
@pytest.mark.parametrize("zip64", [False, True])
@pytest.mark.parametrize("make", [io.BytesIO, Pipe])
def test_wheels_that_are_written_in_any_way_are_spliced(tmp_path: Path, make: Any, zip64: bool, level: int) -> None:
    out = make()
    repacked(out, level, zip64=zip64)
    data = out.data if isinstance(out, Pipe) else out.getvalue()
    tree = wheel_tree(tmp_path, data)
    assert all(entry.source.deflated for entry in tree.entries if isinstance(entry.source, ZipMember))
    assert gzip.decompress(row(tree)) == b"".join(Tar(tree.entries))
    assert measure(Recipe(tree, SPLICED)).diff_id == measure(Recipe(tree, NONE)).diff_id


def damaged(stream: Callable[[bytes], bytes]) -> bytes:
    """A wheel one of whose deflate streams is another, while the zip's directory has CRC and size of the contents."""
    name = "demo/a.py"
    data = wheel_bytes("demo", files={name: FILES[name]})
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = archive.infolist()
        begin, start = local_data(data, archive.getinfo(name)), archive.start_dir
    found = next(info for info in infos if info.filename == name)
    old = data[begin : begin + found.compress_size]
    new = stream(old)
    grown = len(new) - len(old)
    central = bytearray(data[start:])
    at = 0
    for info in infos:
        struct.pack_into("<I", central, at + 20, info.compress_size + (grown if info is found else 0))
        struct.pack_into("<I", central, at + 42, info.header_offset + (grown if info.header_offset > begin else 0))
        at += 46 + sum(struct.unpack_from("<3H", central, at + 28))
    end = central.rindex(b"PK\5\6")
    struct.pack_into("<I", central, end + 16, start + grown)
    return data[:begin] + new + data[begin + found.compress_size : start] + bytes(central)


def unfinished(_: bytes) -> bytes:
    """All of the contents, and no last block: zipfile reads it."""
    pack = zlib.compressobj(6, zlib.DEFLATED, -15)
    return pack.compress(FILES["demo/a.py"]) + pack.flush(zlib.Z_SYNC_FLUSH)


HOSTILE: dict[str, Callable[[bytes], bytes]] = {
    "bytes behind the end": lambda old: old + b"hidden",
    "a byte behind the end": lambda old: old + b"\0",
    "a megabyte behind the end": lambda old: old + noise(2 * CHUNK),
    "a gzip member behind the end": lambda old: old + gzip.compress(b"hidden"),
    "a second stream": lambda old: old + old,
    "no last block": unfinished,
    "cut": lambda old: old[:-1],
    "nothing": lambda old: b"",
    "another file's": lambda old: zlib.compress(b"b = 1\n" * 300, wbits=-15),
    "a longer file's": lambda old: zlib.compress(FILES["demo/a.py"] + b"#", wbits=-15),
    "a bomb": lambda old: zlib.compress(bytes(64 * CHUNK), wbits=-15),
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("name", ["none", "spliced", "zstd"])
def test_a_stream_that_is_not_the_files_is_refused_under_every_codec(tmp_path: Path, kind: str, name: str) -> None:
    tree = wheel_tree(tmp_path, damaged(HOSTILE[kind]))
    with pytest.raises(IntegrityError, match=r"demo/a\.py"):
        measure(Recipe(tree, codec.named(name)))


def test_a_wheel_whose_bytes_the_helper_moved_is_as_good_as_before(tmp_path: Path) -> None:
    """Else the test above would prove nothing."""
    tree = wheel_tree(tmp_path, damaged(lambda old: zlib.compress(FILES["demo/a.py"], 9, wbits=-15)))
    layer = measure(Recipe(tree, SPLICED))
    assert layer.diff_id == measure(Recipe(tree, NONE)).diff_id


def test_a_wheel_that_changed_is_named_while_its_row_is_sent(tmp_path: Path) -> None:
    tree = wheel_tree(tmp_path, wheel_bytes("demo", files=FILES))
    recipe = Recipe(tree, SPLICED)
    blob = RecipeBlob(recipe, measure(recipe))
    (tmp_path / "demo-1.0-py3-none-any.whl").write_bytes(wheel_bytes("demo", files={**FILES, "demo/a.py": b"b\n"}))
    with pytest.raises(SourceError, match="changed"):
        list(blob.chunks())
