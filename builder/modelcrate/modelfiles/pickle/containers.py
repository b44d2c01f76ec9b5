"""The pickles in a file, however they are wrapped: in zip, tar, gzip, bzip2, xz, zlib and numpy's files, in one another, one after another.

Zip members are taken by their offsets, without the checks of `zipfile`: PyTorch loads members whose checksum or flags are wrong, so they
have to be seen here.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from os.path import splitext
from typing import BinaryIO

from modelcrate.modelfiles.byte_reader import ByteReader
from modelcrate.modelfiles.endings import PICKLES
from modelcrate.modelfiles.pickle.findings import NamedObject, PickleFindings
from modelcrate.modelfiles.pickle.interpreter import interpret, interpret_plain
from modelcrate.modelfiles.pickle.opcodes import ARGUMENTS
from modelcrate.modelfiles.pickle.vm import NEEDY
from modelcrate.modelfiles.pickle.windows import Inflated, Window
from modelcrate_layers.content import CHUNK
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.tar.reader import index_tar

HEAD = 512
"""Bytes at the beginning of a file that say what it is."""

MAX_DEPTH = 6
"""How deep files may be wrapped in each other."""

MAX_MEMBERS = 100_000
MAX_UNPACKED = 64 << 30
"""Bytes that one compressed stream may unpack to."""

MAX_SPOOLED = 8 << 30
"""Bytes of an archive that was compressed as a whole, and is written to disk to be read."""

MAX_IN_A_ROW = 64
"""How many pickles may follow one another in one file; PyTorch's old format has five."""

_HEADED = re.compile(rb"\x80[\x02-\x05]")
_OBJECTS = re.compile(rb"""['"][<>=|]?O[0-9]*['"]""")
_ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_LZ4 = b"\x04\x22\x4d\x18"
"""One of joblib's compressors, and the only one that no standard library unpacks."""
_ZIP_END = b"PK\5\6"
"""The mark of a zip's end (APPNOTE.TXT 4.3.16)."""

_ZIP_TAIL = 22 + (1 << 16)
"""Bytes that the end of a zip may take, its comment included."""

_BROKEN = (IntegrityError, OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error,
           NotImplementedError, RuntimeError)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """A pickle: its place in the file (empty: the file itself), and what was seen in it."""

    inner: str
    seen: PickleFindings
    promised: bool = True
    """Whether the file says that it is a pickle, by its first bytes or its name; others may just look like one."""


def pickles_in(file: BinaryIO, name: str) -> Iterator[Found]:
    """Every pickle of a file that can be wound back. What can't be read to its end is a pickle with a fault."""
    yield from _within(_Place(file, name, "", 0))


@dataclass(frozen=True, slots=True)
class _Place:
    file: BinaryIO
    name: str
    inner: str
    depth: int
    limit: int | None = None

    def head(self, size: int) -> bytes:
        self.file.seek(0)
        return self.file.read(size) or b""

    def tape(self) -> ByteReader:
        self.file.seek(0)
        return ByteReader(self.file, self.limit)

    def broken(self, what: str) -> Found:
        return Found(self.inner, PickleFindings((), False, (what,)))

    def member(self, file: io.RawIOBase, name: str) -> _Place:
        inner = f"{self.inner}/{name}" if self.inner else name
        return _Place(io.BufferedReader(file, 1 << 16), name, inner, self.depth + 1, MAX_UNPACKED)


def _within(place: _Place) -> Iterator[Found]:
    if place.depth > MAX_DEPTH:
        yield place.broken(f"is wrapped more than {MAX_DEPTH} times")
        return
    try:
        head = place.head(HEAD)
        if head.startswith((b"PK\3\4", _ZIP_END)) or (place.depth == 0 and ends_as_zip(place.file)):
            yield from _in_zip(place)
            if head.startswith(b"PK"):
                return
        for magics, unpack in _UNPACKERS:
            if head.startswith(magics):
                yield from _within(replace(place, file=unpack(place.file), depth=place.depth + 1, limit=MAX_UNPACKED))
                return
        if head.startswith(_LZ4):
            yield place.broken("is packed with lz4, which is not looked into")
        elif begins_as_tar(head):
            yield from _in_tar(place)
        elif head.startswith(b"\x93NUMPY"):
            yield from _in_npy(place)
        else:
            yield from _in_a_row(place, head)
    except _BROKEN as fault:
        what = fault.what if isinstance(fault, IntegrityError) else f"{type(fault).__name__}: {fault}"
        yield place.broken(f"can't be unpacked: {what[:200]}")


def ends_as_zip(file: BinaryIO) -> bool:
    """Whether there is a zip, whatever stands before it. Nearly no file has the mark of its end, which is soon seen."""
    file.seek(max(0, file.seek(0, io.SEEK_END) - _ZIP_TAIL))
    return has_zip_end(file.read()) and zipfile.is_zipfile(file)


def has_zip_end(data: bytes) -> bool:
    """Whether the mark of a zip's end is in some bytes."""
    return _ZIP_END[2:3] in data and _ZIP_END in data  # a single byte, which no text has, is found far sooner


def begins_as_tar(head: bytes) -> bool:
    """Whether a file's first bytes are a tar's header (POSIX ustar, `magic`)."""
    return head[257:262] == b"ustar"


def is_no_bare_pickle(head: bytes) -> bool:
    """Whether a file of which this is the beginning may begin as a bare pickle, and is soon seen to be a text."""
    return _NO_GLOBAL.match(head) is not None


def _in_zip(place: _Place) -> Iterator[Found]:
    file = _solid(place)
    with zipfile.ZipFile(file) as archive:
        infos = archive.infolist()
    if len(infos) > MAX_MEMBERS:
        raise IntegrityError(f"has more than {MAX_MEMBERS} members")
    for info in infos:
        if info.filename.endswith("/") or not info.file_size:
            continue
        file.seek(info.header_offset)
        local = file.read(30)
        if len(local) < 30 or not local.startswith(b"PK\3\4"):
            raise IntegrityError(f"has no member where {info.filename[:100]!r} should be")
        start = info.header_offset + 30 + sum(struct.unpack("<HH", local[26:30]))
        raw = Window(file, start, info.compress_size)
        if info.compress_type == zipfile.ZIP_STORED:
            yield from _within(place.member(raw, info.filename))
        elif info.compress_type == zipfile.ZIP_DEFLATED:
            inflated = Inflated(io.BufferedReader(raw, 1 << 16), -zlib.MAX_WBITS)
            yield from _within(place.member(inflated, info.filename))
        else:
            yield place.broken(f"has a member that is packed in an unusual way: {info.filename[:100]!r}")


def _in_tar(place: _Place) -> Iterator[Found]:
    file = _solid(place)
    for name, where in index_tar(file).items():
        window = Window(file, where.offset, where.size)
        yield from _within(place.member(window, name.decode("utf-8", "replace")))


def _solid(place: _Place) -> BinaryIO:
    """A file that can be entered anywhere; what comes out of a compressed stream is written to a nameless one first."""
    if place.limit is None or isinstance(getattr(place.file, "raw", None), Window):
        place.file.seek(0)
        return place.file
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed with the last window on it
    place.file.seek(0)
    while piece := place.file.read(CHUNK):
        if copy.tell() > MAX_SPOOLED:
            raise IntegrityError(f"holds an archive of more than {MAX_SPOOLED >> 30} GiB in a compressed stream")
        copy.write(piece)
    copy.seek(0)
    return copy


def _in_npy(place: _Place) -> Iterator[Found]:
    """numpy's format: a header that is a Python literal, which is only looked at; an array of objects is a pickle."""
    tape = place.tape()
    tape.skip(6)
    version = tape.read(2)[0]
    size = int.from_bytes(tape.read(2 if version == 1 else 4), "little")
    if size > 1 << 20:
        raise IntegrityError("has a header of more than a mebibyte")
    if _OBJECTS.search(tape.read(size)):
        yield Found(place.inner, interpret(tape))


def _in_a_row(place: _Place, head: bytes) -> Iterator[Found]:
    """A pickle, and those that follow it. A file that only might be one is read as far as the real machine would get."""
    ending = splitext(place.name)[1].lower()
    if not _HEADED.match(head) and ending not in PICKLES:
        if head and head[0] in _BARE:
            seen = interpret_plain(place.tape())
            if seen.names and all(map(_plausible, seen.names)):
                yield Found(place.inner, seen, promised=False)
        return
    tape = place.tape()
    seen = interpret(tape)
    if seen.arrays:
        yield Found(place.inner, _merged(seen, interpret_plain(place.tape())))
        return
    yield Found(place.inner, seen)
    start = tape.position
    for _ in range(MAX_IN_A_ROW if seen.whole else 0):
        place.file.seek(start)
        if not _HEADED.match(place.file.read(2) or b""):
            return
        place.file.seek(start)
        tape = ByteReader(place.file, place.limit)
        seen = interpret_plain(tape)
        if seen.names or seen.whole:
            yield Found(place.inner, seen, promised=seen.whole)
        if not seen.whole:
            return
        start += tape.position


def _merged(one: PickleFindings, other: PickleFindings) -> PickleFindings:
    names = {
        (each.module, each.name): each for each in (*one.names, *other.names) if each in one.names or _plausible(each)
    }
    return replace(one, names=tuple(sorted(names.values(), key=str)))


def _plausible(named: NamedObject) -> bool:
    return all(part.isidentifier() for part in (*named.module.split("."), *named.name.split(".")))


def _gzip(file: BinaryIO) -> gzip.GzipFile:
    return gzip.GzipFile(fileobj=file)


_UNPACKERS: tuple[tuple[tuple[bytes, ...], Callable[[BinaryIO], BinaryIO]], ...] = (
    ((b"\x1f\x8b",), lambda file: _wound(file, _gzip)),
    ((b"BZh",), lambda file: _wound(file, bz2.BZ2File)),
    ((b"\xfd7zXZ\0",), lambda file: _wound(file, lzma.LZMAFile)),
    ((b"\x5d\x00\x00",), lambda file: _wound(file, lzma.LZMAFile)),
    (_ZLIB, lambda file: io.BufferedReader(Inflated(file, zlib.MAX_WBITS), 1 << 16)),
)
"""How a compressed stream begins, and what reads it."""

_BARE = ARGUMENTS.keys() - NEEDY - {ord(".")}
"""The first bytes of pickles that don't say what they are. What ends at once names nothing."""

_NO_GLOBAL = re.compile(rb"c[\w.\x80-\xff]*+\n?+[\w.\x80-\xff]*+[^\w.\x80-\xff\n]")
"""A text that begins as a bare pickle that takes something from a module first, and then has what no such name is made of."""

BEGINNINGS = frozenset({*_BARE, *b"P\x93", _LZ4[0], *(magic[0] for magics, _ in _UNPACKERS for magic in magics)})
"""The bytes that a file with pickles may begin with, if it is no tar, has no zip at its end, and isn't called a pickle."""


def _wound(file: BinaryIO, unpack: Callable[[BinaryIO], object]) -> BinaryIO:
    file.seek(0)
    return unpack(file)  # type: ignore[return-value]  # all of them are files to read from
