"""The pickles and configurations in a file, however they are wrapped: in zip, tar, compressed streams and numpy's files, in one another, one after another.

Every byte of a file is accounted for: it belongs to a pickle, to an array, to a member of an archive or to padding. Where a byte
belongs to none of them, the file has a finding with a fault, which names the place and the reason.

A file may be two things at once: the first bytes of a tar, of a compressed stream, of MessagePack can be opcodes as well. Such a file is read as both.

Members of a zip are taken by their offsets, without the checks of `zipfile`: PyTorch loads members whose checksum or flags are wrong.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from modelcrate.modelfiles.beginnings import (
    BARE,
    HEAD,
    HEADED,
    LZ4,
    LZMA,
    MAX_CONFIG,
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
    may_name,
)
from modelcrate.modelfiles.byte_reader import ByteReader
from modelcrate.modelfiles.formats import LIBRARIES, Sample, ending_of, format_of
from modelcrate.modelfiles.msgpack import states
from modelcrate.modelfiles.pickle import saved_agents
from modelcrate.modelfiles.pickle.contents import Archive, Configuration, Content, Found, Members, Place
from modelcrate.modelfiles.pickle.findings import LoadedBytes, NamedObject, PickleFindings, keep_strongest
from modelcrate.modelfiles.pickle.loaded_bytes import BEGINNINGS
from modelcrate.modelfiles.pickle.rows import BROKEN, read_bare, read_row
from modelcrate.modelfiles.pickle.windows import (
    deflate_stream,
    latin_stream,
    lz4_frames,
    lzma_stream,
    zfile_stream,
    zlib_streams,
)
from modelcrate.modelfiles.pickle.zip_places import descriptor_bytes, ends_at_its_end, is_in_a_member, uncovered
from modelcrate_layers.content import CHUNK
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import replace
from modelcrate_layers.tar import codec
from modelcrate_layers.tar.reader import list_tar

MAX_DEPTH = 6
"""How deep files may be wrapped in each other."""

MAX_MEMBERS = 100_000

MAX_TOLD = 8
"""Faults that are told of all files in a pickle's bytes."""

PERSID = b"P"
"""An opcode that ends Python's machine at once, if it is the first, and with which every zip begins."""


def contents_of(file: BinaryIO, name: str) -> Iterator[Content]:
    """Yields every pickle of a file, which must be seekable, the configurations in its archives, and what its tars have.

    What can't be read to its end is a pickle with a fault.
    """
    yield from _within(Place(file, name))


def _within(place: Place) -> Iterator[Content]:
    if place.depth > MAX_DEPTH:
        yield place.broken(f"is wrapped more than {MAX_DEPTH} times")
        return
    try:
        if place.member and may_configure(place.name):
            yield from _configuration(place)
        head = place.head(HEAD)
        thinc = place.seekable and _is_thinc(place, head)
        if not thinc and head.startswith((b"PK\3\4", ZIP_END)):
            yield from _in_zip(place, head)
        elif not thinc and _ends_as_zip(place):
            yield from _before_a_zip(place, head)
        elif (wrapped := _in_thinc(place) if thinc else _wrapped(place, head)) is None:
            yield from _with_files(place, read_row(place, head))
        else:
            if _may_be_bare(head):
                yield from _with_files(place, read_bare(place))
            yield from wrapped
    except BROKEN as fault:
        what = fault.what if isinstance(fault, IntegrityError) else f"{type(fault).__name__}: {fault}"
        yield place.broken(f"can't be unpacked: {what[:200]}")


def _wrapped(place: Place, head: bytes) -> Iterator[Content] | None:
    """Returns what yields the contents of a compressed stream or a tar; None for a file that is neither."""
    if unpack := next((unpack for magics, unpack in _UNPACKERS if head.startswith(magics)), None):
        return _within(place.unpacked(unpack))
    if head[13:14] == b"\0" and begins_as_lzma(head):
        return _within(place.unpacked(lzma_stream))
    if unread := next((what for magic, what in UNREAD if head.startswith(magic)), ""):
        return iter([place.broken(f"{unread}, which is not read")])
    if ZFILE.match(head):
        return _within(place.unpacked(zfile_stream))
    return _in_tar(place) if begins_as_tar(head) else None


def _may_be_bare(head: bytes) -> bool:
    """Whether what is something else by its first bytes may be a pickle, too, that has no header."""
    return head[:1] != PERSID and head[0] in BARE and may_name(head)


def _with_files(place: Place, row: Iterable[Found]) -> Iterator[Content]:
    """Pickles, and what is loaded out of their bytes."""
    found = list(row)  # read to its end, before other places of the file are
    yield from found
    if files := dict.fromkeys(file for each in found for file in each.findings.files):
        yield from _in_bytes(place.solid(), files)


def _in_bytes(place: Place, files: Iterable[LoadedBytes]) -> Iterator[Content]:
    """Files in the bytes of pickles. Their pickles are one finding: there may be one for each tensor."""
    names: dict[NamedObject, NamedObject] = {}
    faults: list[str] = []
    tricks: list[str] = []
    limited = False
    for file in files:
        inner = place.window(file.start, file.size, f"bytes at {file.start}{file.ending}")
        if file.latin:
            inner = replace(inner.unpacked(latin_stream), depth=inner.depth)
        contents: Iterable[Content] = _within(inner)
        if not inner.head(4).startswith(BEGINNINGS.get(file.ending, b"")):
            contents = (inner.broken(f"has no file there that a name with {file.ending} would have"),)
        for content in contents:
            if not isinstance(content, Found) or not content.promised:
                yield content
                continue
            keep_strongest(names, content.findings.names)
            faults += (f"{fault} (in its bytes from {file.start} on)" for fault in content.findings.faults)
            tricks += (f"{trick} (in its bytes from {file.start} on)" for trick in content.findings.tricks)
            limited = limited or content.findings.limited
        del faults[MAX_TOLD:], tricks[MAX_TOLD:]
    told = PickleFindings(tuple(sorted(names.values())), not faults, tuple(faults), tuple(tricks), limited)
    yield Found(f"{place.inner}/bytes" if place.inner else "bytes", told)


def _configuration(place: Place) -> Iterator[Configuration]:
    data = place.head(MAX_CONFIG + 1)
    if len(data) <= MAX_CONFIG:
        if may_configure_code(data, place.name):
            yield Configuration(place.inner, data)
    elif long_may_configure_code(place.file, place.name):
        yield Configuration(place.inner, None)


def _ends_as_zip(place: Place) -> bool:
    """The same for a part of a file. A compressed member of a zip is unpacked to its end for this; other streams are not."""
    if place.seekable:
        return ends_as_zip(place.file) and not (begins_as_tar(place.head(HEAD)) and is_in_a_member(place.file))
    if not place.member:
        return False
    place.file.seek(0)
    tail = b""
    while piece := place.file.read(CHUNK):
        tail = (tail + piece)[-ZIP_TAIL:]
    return has_zip_end(tail) and ends_as_zip(place.solid().file)


def _is_thinc(place: Place, head: bytes) -> bool:
    known = format_of(Sample(place.name, head, len(head)))
    return known is not None and known.word == "thinc"


def _in_thinc(place: Place) -> Iterator[Content]:
    """The models of PyTorch's in one of Thinc's. A zip at the file's end is one of them, or else it is read as what it is."""
    size = place.file.seek(0, io.SEEK_END)
    found = list(states(place.file, 0, size))
    for start, length in found:
        yield from _within(place.window(start, length, "state.pt"))
    place.file.seek(max(0, size - ZIP_TAIL))
    mark = max(0, size - ZIP_TAIL) + place.file.read().rfind(ZIP_END)
    if _ends_as_zip(place) and not any(start <= mark < start + length for start, length in found):
        yield from _in_zip(place, b"")


def _before_a_zip(place: Place, head: bytes) -> Iterator[Content]:
    """A zip at the end of a file. It may stand in the bytes or texts of a pickle, to whose readers all of the file is opcodes."""
    pickled = HEADED.match(head) is not None
    found = list(read_row(place, head)) if pickled or _may_be_bare(head) else []
    if pickled and all(each.findings.whole and not each.findings.faults for each in found):
        yield from _with_files(place, found)
        for _, contents in _members(place.solid()):
            yield from contents
        return
    if not pickled:
        yield from _with_files(place, found)
    yield from _in_zip(place, head)


def _in_zip(place: Place, head: bytes) -> Iterator[Content]:
    """A zip, in which every byte belongs to a member, to its list at the end, or to what precedes it, and is read as that."""
    solid = place.solid()
    spans = []
    for span, contents in _members(solid):
        spans.append(span)
        yield from contents
    prefix, gap = uncovered(sorted(spans))
    if gap:
        yield place.broken(f"has bytes that belong to no member of the zip, at byte {gap}")
    if prefix and head.startswith(b"PK"):
        yield place.broken("has members that its list at the end does not name, at its beginning")
    elif prefix:
        yield from _within(replace(solid.window(0, prefix), depth=place.depth + 1))
    if not ends_at_its_end(solid.file):
        yield place.broken("has more than one end of a zip, or bytes behind it")


def _members(place: Place) -> Iterator[tuple[tuple[int, int], Iterator[Content]]]:
    """Yields where each member of a zip begins and ends, and its contents; and where its list of them does."""
    file = place.file
    with zipfile.ZipFile(file) as archive:
        infos = archive.infolist()
        start_of_list = archive.start_dir
    if len(infos) > MAX_MEMBERS:
        raise IntegrityError(f"has more than {MAX_MEMBERS} members")
    whole = (Archive(place.inner, file),) if place.depth else ()  # the file itself is read as one elsewhere
    yield (start_of_list, file.seek(0, io.SEEK_END)), iter(whole)
    for info in infos:
        file.seek(info.header_offset)
        local = file.read(30)
        if len(local) < 30 or not local.startswith(b"PK\3\4"):
            raise IntegrityError(f"has no member where {info.filename[:100]!r} should be")
        start = info.header_offset + 30 + sum(struct.unpack("<HH", local[26:30]))
        end = start + info.compress_size + descriptor_bytes(file, start, info)
        span = info.header_offset, end
        if end > start_of_list:
            what = f"has a member that reaches over the end of the others: {info.filename[:100]!r}"
            yield span, iter([place.broken(what)])
        yield span, _in_member(place, info, start) if info.file_size or info.compress_size else iter(())


def _in_member(place: Place, info: zipfile.ZipInfo, start: int) -> Iterator[Content]:
    """A member of a zip. One that is encrypted is read as if it weren't: PyTorch ignores the flag."""
    inner = place.window(start, info.compress_size, info.filename or "(no name)")
    if info.flag_bits & 1:
        yield inner.broken("is encrypted, so it can't be read")
    if info.compress_type == zipfile.ZIP_DEFLATED:
        inner = replace(inner.unpacked(deflate_stream), depth=inner.depth, member=True)
    elif info.compress_type != zipfile.ZIP_STORED:
        yield inner.broken(f"is packed by method {info.compress_type}, which is not read")
        return
    if info.filename == saved_agents.MEMBER:
        yield from _in_agent(inner)
    yield from _within(inner)


def _in_agent(place: Place) -> Iterator[Content]:
    data = place.head(MAX_CONFIG + 1)
    if len(data) > MAX_CONFIG:
        if data.lstrip().startswith(b"{"):
            yield place.broken(f"has more than {MAX_CONFIG >> 20} MiB of attributes, which are not read")
        return
    for name, pickled in saved_agents.pickles_in(data):
        where = f"{place.inner}, {name[:60]}"
        yield from _within(replace(place, file=io.BytesIO(pickled), name="attribute.pkl", inner=where, seekable=True))


def _in_tar(place: Place) -> Iterator[Content]:
    solid = place.solid()
    file = solid.file
    names = []
    for name, where in list_tar(file):
        names.append(name.decode("utf-8", "replace") or "(no name)")
        yield from _within(solid.window(where.offset, where.size, names[-1]))
    if any(ending_of(each) in (*LIBRARIES, ".py") for each in names):
        yield Members(place.inner, tuple(names))
    if not ByteReader(file).ends_in_padding():
        yield place.broken("has bytes behind the end of the tar")


_UNPACKERS: tuple[tuple[tuple[bytes, ...], Callable[[Iterator[bytes]], Iterator[bytes]]], ...] = (
    ((*STREAMS, *codec.ZSTD_SKIPPED), codec.decode),
    (LZMA, lzma_stream),
    (ZLIB, zlib_streams),
    (LZ4, lz4_frames),
)
"""How a compressed stream begins, and what reads it."""
