"""The pickles and configurations in a file, however they are wrapped: in zip, tar, compressed streams and numpy's files, in one another, one after another.

Every byte of a file is accounted for: it belongs to a pickle, to an array, to a member of an archive or to padding. Where a byte
belongs to none of them, the file has a finding with a fault, which names the place and the reason.

Members of a zip are taken by their offsets, without the checks of `zipfile`: PyTorch loads members whose checksum or flags are wrong.
"""

from __future__ import annotations

import io
import struct
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from typing import BinaryIO, TypeAlias, cast

from modelcrate.modelfiles.beginnings import (
    BARE,
    HEAD,
    HEADED,
    LZMA,
    MAGIC,
    MAX_CONFIG,
    NPY,
    STREAMS,
    UNREAD,
    ZFILE,
    ZIP_END,
    ZIP_TAIL,
    ZLIB,
    begins_as_lzma,
    begins_as_tar,
    ends_as_zip,
    has_zip_end,
    long_may_configure_code,
    may_configure,
    may_configure_code,
)
from modelcrate.modelfiles.byte_reader import PADDING, ByteReader
from modelcrate.modelfiles.formats import LIBRARIES, PICKLED, Sample, ending_of, format_of
from modelcrate.modelfiles.msgpack import states
from modelcrate.modelfiles.pickle.arrays import npy_array_bytes
from modelcrate.modelfiles.pickle.findings import NamedObject, PickleFindings, keep_strongest
from modelcrate.modelfiles.pickle.interpreter import interpret, interpret_plain
from modelcrate.modelfiles.pickle.windows import (
    Unpacked,
    Window,
    chunks_of,
    deflate_stream,
    lzma_stream,
    zfile_stream,
    zlib_streams,
)
from modelcrate.modelfiles.pickle.zip_places import descriptor_bytes, ends_at_its_end, is_in_a_member, uncovered
from modelcrate_layers.content import CHUNK
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass, replace
from modelcrate_layers.tar import codec
from modelcrate_layers.tar.reader import list_tar

MAX_DEPTH = 6
"""How deep files may be wrapped in each other."""

MAX_MEMBERS = 100_000
MAX_UNPACKED = 64 << 30
"""Bytes that one compressed stream may unpack to."""

MAX_SPOOLED = 8 << 30
"""Bytes of a compressed archive, which is unpacked to disk before it is read."""

MAX_IN_A_ROW = 10_000
"""How many pickles may follow one another in one file; PyTorch's old format has five."""

_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
"""The first pickle of PyTorch's format before 1.6 (torch/serialization.py, MAGIC_NUMBER)."""

_TORCH_PICKLES = 5
"""That format's pickles: magic, version, the machine's sizes, the object, the keys of its storages, whose bytes follow."""

_BROKEN = (IntegrityError, OSError, EOFError, ValueError, zipfile.BadZipFile, struct.error, NotImplementedError,
           RuntimeError, MemoryError)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """A pickle: its place in the file (empty: the file itself), and what was found in it."""

    inner: str
    findings: PickleFindings
    promised: bool = True
    """Whether the file is a pickle by its first bytes or its name; another file may only resemble one."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """A member of an archive that may name code by its bytes, as a configuration that is a file of its own."""

    inner: str
    data: bytes | None
    """None: more than MAX_CONFIG."""


@dataclass(frozen=True, slots=True)
class Members:
    """The names of what is in a tar that has programs or libraries."""

    inner: str
    names: tuple[str, ...]


Content: TypeAlias = Found | Configuration | Members


def contents_of(file: BinaryIO, name: str) -> Iterator[Content]:
    """Yields every pickle of a file, which must be seekable, the configurations in its archives, and what its tars have.

    What can't be read to its end is a pickle with a fault.
    """
    yield from _within(_Place(file, name, "", 0, True))


@dataclass(frozen=True, slots=True)
class _Place:
    """A file, or a part of one. `seekable`: going to its end costs nothing. `member`: an archive has it, as a file of its own."""

    file: BinaryIO
    name: str
    inner: str
    depth: int
    seekable: bool
    member: bool = False

    def head(self, size: int) -> bytes:
        self.file.seek(0)
        return self.file.read(size) or b""

    def tape(self) -> ByteReader:
        self.file.seek(0)
        return ByteReader(self.file, None if self.seekable else MAX_UNPACKED)

    def broken(self, what: str) -> Found:
        return Found(self.inner, PickleFindings((), False, (what,)))

    def window(self, start: int, size: int, name: str = "") -> _Place:
        """Returns a range of this file; with a name, a member of it."""
        file = io.BufferedReader(Window(self.file, start, size), 1 << 16)
        if not name:
            return replace(self, file=file)
        return _Place(file, name, f"{self.inner}/{name}" if self.inner else name, self.depth + 1, True, True)

    def unpacked(self, unpack: Callable[[Iterator[bytes]], Iterator[bytes]]) -> _Place:
        """Returns the output of a decompressor for this file."""
        file = io.BufferedReader(Unpacked(lambda: unpack(chunks_of(self.file))), 1 << 16)
        return replace(self, file=file, depth=self.depth + 1, seekable=False, member=False)


def _within(place: _Place) -> Iterator[Content]:
    if place.depth > MAX_DEPTH:
        yield place.broken(f"is wrapped more than {MAX_DEPTH} times")
        return
    try:
        if place.member and may_configure(place.name):
            yield from _configuration(place)
        head = place.head(HEAD)
        unread = next((what for magic, what in UNREAD if head.startswith(magic)), "")
        if place.seekable and _is_thinc(place, head):
            yield from _in_thinc(place)
        elif head.startswith((b"PK\3\4", ZIP_END)) or _ends_as_zip(place):
            yield from _in_zip(place, head)
        elif unpack := next((unpack for magics, unpack in _UNPACKERS if head.startswith(magics)), None):
            yield from _within(place.unpacked(unpack))
        elif head[13:14] == b"\0" and begins_as_lzma(head):
            yield from _within(place.unpacked(lzma_stream))
        elif unread:
            yield place.broken(f"{unread}, which is not read")
        elif ZFILE.match(head):
            yield from _within(place.unpacked(zfile_stream))
        elif begins_as_tar(head):
            yield from _in_tar(place)
        else:
            yield from _in_a_row(place, head)
    except _BROKEN as fault:
        what = fault.what if isinstance(fault, IntegrityError) else f"{type(fault).__name__}: {fault}"
        yield place.broken(f"can't be unpacked: {what[:200]}")


def _configuration(place: _Place) -> Iterator[Configuration]:
    data = place.head(MAX_CONFIG + 1)
    if len(data) <= MAX_CONFIG:
        if may_configure_code(data, place.name):
            yield Configuration(place.inner, data)
    elif long_may_configure_code(place.file, place.name):
        yield Configuration(place.inner, None)


def _ends_as_zip(place: _Place) -> bool:
    """The same for a part of a file. A compressed member of a zip is unpacked to its end for this; other streams are not."""
    if place.seekable:
        return ends_as_zip(place.file) and not (begins_as_tar(place.head(HEAD)) and is_in_a_member(place.file))
    if not place.member:
        return False
    place.file.seek(0)
    tail = b""
    while piece := place.file.read(CHUNK):
        tail = (tail + piece)[-ZIP_TAIL:]
    return has_zip_end(tail) and ends_as_zip(_solid(place))


def _is_thinc(place: _Place, head: bytes) -> bool:
    known = format_of(Sample(place.name, head, len(head)))
    return known is not None and known.word == "thinc"


def _in_thinc(place: _Place) -> Iterator[Content]:
    """The models of PyTorch's in one of Thinc's. A zip at the file's end is one of them, or else it is read as what it is."""
    size = place.file.seek(0, io.SEEK_END)
    found = list(states(place.file, 0, size))
    for start, length in found:
        yield from _within(place.window(start, length, "state.pt"))
    place.file.seek(max(0, size - ZIP_TAIL))
    mark = max(0, size - ZIP_TAIL) + place.file.read().rfind(ZIP_END)
    if _ends_as_zip(place) and not any(start <= mark < start + length for start, length in found):
        yield from _in_zip(place, b"")


def _in_zip(place: _Place, head: bytes) -> Iterator[Content]:
    file = _solid(place)
    with zipfile.ZipFile(file) as archive:
        infos = archive.infolist()
        start_of_list = archive.start_dir
    if len(infos) > MAX_MEMBERS:
        raise IntegrityError(f"has more than {MAX_MEMBERS} members")
    solid = replace(place, file=file, seekable=True)
    spans = [(start_of_list, file.seek(0, io.SEEK_END))]
    for info in infos:
        file.seek(info.header_offset)
        local = file.read(30)
        if len(local) < 30 or not local.startswith(b"PK\3\4"):
            raise IntegrityError(f"has no member where {info.filename[:100]!r} should be")
        start = info.header_offset + 30 + sum(struct.unpack("<HH", local[26:30]))
        end = start + info.compress_size + descriptor_bytes(file, start, info)
        spans.append((info.header_offset, end))
        if end > start_of_list:
            yield place.broken(f"has a member that reaches over the end of the others: {info.filename[:100]!r}")
        if info.file_size or info.compress_size:
            yield from _in_member(solid, info, start)
    prefix, gap = uncovered(sorted(spans))
    if gap:
        yield place.broken(f"has bytes that belong to no member of the zip, at byte {gap}")
    if prefix and head.startswith(b"PK"):
        yield place.broken("has members that its list at the end does not name, at its beginning")
    elif prefix:
        yield from _within(replace(solid.window(0, prefix), depth=place.depth + 1))
    if not ends_at_its_end(file):
        yield place.broken("has more than one end of a zip, or bytes behind it")


def _in_member(place: _Place, info: zipfile.ZipInfo, start: int) -> Iterator[Content]:
    """A member of a zip. One that is encrypted is read as if it weren't: PyTorch ignores the flag."""
    inner = place.window(start, info.compress_size, info.filename or "(no name)")
    if info.flag_bits & 1:
        yield inner.broken("is encrypted, so it can't be read")
    if info.compress_type == zipfile.ZIP_STORED:
        yield from _within(inner)
    elif info.compress_type == zipfile.ZIP_DEFLATED:
        yield from _within(replace(inner.unpacked(deflate_stream), depth=inner.depth, member=True))
    else:
        yield inner.broken(f"is packed by method {info.compress_type}, which is not read")


def _in_tar(place: _Place) -> Iterator[Content]:
    file = _solid(place)
    solid = replace(place, file=file, seekable=True)
    names = []
    for name, where in list_tar(file):
        names.append(name.decode("utf-8", "replace") or "(no name)")
        yield from _within(solid.window(where.offset, where.size, names[-1]))
    if any(ending_of(each) in (*LIBRARIES, ".py") for each in names):
        yield Members(place.inner, tuple(names))
    if not ByteReader(file).ends_in_padding():
        yield place.broken("has bytes behind the end of the tar")


def _solid(place: _Place) -> BinaryIO:
    """Returns a file in which every place can be reached; what a decompressor yields is written to a nameless file first."""
    place.file.seek(0)
    if place.seekable:
        return place.file
    copy = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - it is closed with the last window on it
    while piece := place.file.read(CHUNK):
        if copy.tell() > MAX_SPOOLED:
            raise IntegrityError(f"holds an archive of more than {MAX_SPOOLED >> 30} GiB in a compressed stream")
        copy.write(piece)
    copy.seek(0)
    return copy


def _in_a_row(place: _Place, head: bytes) -> Iterator[Found]:
    """Pickles and numpy's arrays, one after another to the file's end. A file that only might be a pickle is tried first."""
    known = format_of(Sample(place.name, head, len(head)))
    if HEADED.match(head) or head.startswith(NPY) or (known is not None and known.word in PICKLED):
        yield from _row(place)
    elif head and head[0] in BARE:
        yield from _bare(place)


def _bare(place: _Place) -> Iterator[Found]:
    """What may be pickles without a header. They are read as far as Python's machine would get."""
    tape = place.tape()
    for _ in range(MAX_IN_A_ROW):
        findings = interpret_plain(tape)
        behind = tape.peek(6) if findings.whole else b""
        if findings.limited or findings.arrays or (findings.whole and findings.names) or MAGIC.match(behind):
            yield from _row(place)
            return
        if findings.names:
            yield Found(place.inner, findings, promised=False)
        if not findings.whole:
            return


def _row(place: _Place) -> Iterator[Found]:
    """Pickles and arrays in a row. Where joblib's arrays are among them, the file is read as `pickle.load` would, too."""
    found: list[Found] = []
    try:
        found += _items(place)
    except _BROKEN as fault:
        what = fault.what if isinstance(fault, IntegrityError) else f"{type(fault).__name__}: {fault}"
        found.append(place.broken(what[:200]))
    if any(each.findings.arrays for each in found):
        found[0] = replace(found[0], findings=_merged(found[0].findings, _plain_row(place)))
    yield from found


def _items(place: _Place) -> Iterator[Found]:
    tape = place.tape()
    values: list[PickleFindings] = []
    numpys = tape.peek(6) == NPY
    while not tape.position or tape.peek(1):
        start = tape.position
        if start and not tape.peek(HEAD).strip(PADDING):
            if not tape.ends_in_padding():
                yield place.broken(f"has padding at byte {start}, and something else behind it")
            return
        if tape.peek(6) == NPY and (size := _npy(tape)) is not None:
            tape.skip(size)
            continue
        findings = interpret_plain(tape) if numpys else interpret(tape)
        if start and not numpys and not findings.whole:
            what = f"is followed, at byte {start}, by what can't be read as a pickle"
            findings = replace(findings, faults=(what, *findings.faults))
        yield Found(place.inner, findings)
        values.append(findings)
        if not findings.whole:
            return
        if len(values) == _TORCH_PICKLES and values[0].top == _TORCH_MAGIC:
            _pass_storages(tape, values[3])
        if len(values) >= MAX_IN_A_ROW:
            yield place.broken(f"has more than {MAX_IN_A_ROW} pickles in a row")
            return


def _npy(tape: ByteReader) -> int | None:
    """Reads the header of an array (numpy.lib.format); returns the length of its bytes, None where they are a pickle."""
    tape.skip(6)
    version = tape.read(2)[0]
    size = int.from_bytes(tape.read(2 if version == 1 else 4), "little")
    if size > 1 << 20:
        raise IntegrityError("has a header of more than a mebibyte")
    return npy_array_bytes(tape.read(size))


def _pass_storages(tape: ByteReader, model: PickleFindings) -> None:
    """Passes over the storages behind the pickles of PyTorch's old format: for each, the number of items and their bytes."""
    if model.storages is None:
        raise IntegrityError(f"has storages of an unknown type behind byte {tape.position}")
    tape.skip(sum(8 + each.size for each in model.storages))


def _plain_row(place: _Place) -> PickleFindings:
    """What `pickle.load` finds in a file with joblib's arrays, whose bytes are opcodes to it, called until it fails."""
    tape = place.tape()
    names: dict[NamedObject, NamedObject] = {}
    limited = False
    for _ in range(MAX_IN_A_ROW):
        findings = interpret_plain(tape)
        limited = limited or findings.limited
        keep_strongest(names, findings.names)
        if not findings.whole:
            break
    return PickleFindings(tuple(names.values()), True, limited=limited)


def _merged(one: PickleFindings, other: PickleFindings) -> PickleFindings:
    names = {each: each for each in other.names}
    keep_strongest(names, one.names)
    faults = one.faults
    if other.limited:
        faults = (*faults, "has bytes between its opcodes that can't be followed as `pickle.load` would")
    return replace(one, names=tuple(sorted(names.values())), faults=faults)


_UNPACKERS: tuple[tuple[tuple[bytes, ...], Callable[[Iterator[bytes]], Iterator[bytes]]], ...] = (
    ((*STREAMS, *codec.ZSTD_SKIPPED), codec.decode),
    (LZMA, lzma_stream),
    (ZLIB, zlib_streams),
)
"""How a compressed stream begins, and what reads it."""
