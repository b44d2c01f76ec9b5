"""A table of contents for a layer, with the places where reading can begin: by it soci-snapshotter mounts a layer at once, and fetches what is opened.

The layer stays as it is; the table (zTOC) is a blob of its own. What is in it (soci-snapshotter, ztoc/fbs/ztoc.fbs, ztoc/compression):

| part         | what it is                                                                                                        |
|--------------|-------------------------------------------------------------------------------------------------------------------|
| metadata     | of each entry name, kind, mode, owner, time, and where its contents are in the tar                                |
| span digests | SHA-256 of each span of the stored bytes: a reader fetches spans, and checks each                                 |
| checkpoints  | where spans begin. A plain tar is cut every SPAN bytes; in gzip each has its place, stored and in the tar, and the |
|              | 32 KiB before it, which what follows may refer to                                                                 |

In gzip a reader can begin where a member does (there nothing is before it), and where a stored block does. Elsewhere blocks begin within a byte, and no
library at hand tells where. So a span is one file at least in a row of members (`splice`), and a layer that is one deflate stream has no table.

Readers before soci-snapshotter 0.14 end at the first end of a member: to them the rest of a span is missing. So rows are taken only where that is wanted.
"""

from __future__ import annotations

import posixpath
import struct
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256

from modelcrate_layers.content import CHUNK
from modelcrate_layers.errors import IntegrityError, SourceError
from modelcrate_layers.tar import codec
from modelcrate_layers.tar.codec import FRAME_TAIL, UNPACK_LIMIT
from modelcrate_layers.tar.flatbuffer import Byte, Int, Long, Octets, Table, Vector, pack
from modelcrate_layers.tar.reader import Member, MemberKind, read_tar
from modelcrate_layers.tar.tree import show

VERSION = b"0.9"
TOOL = "modelcrate ztoc-1"
"""What has made a table; the version is that of the rules here, which decide its bytes."""

SPAN = 4 << 20
"""Bytes of the tar after which the next span may begin: soci-snapshotter's own default."""

MAX_SPAN = 1 << 30
"""Bytes of the largest span: a reader fetches it as a whole into memory, and counts in 32 bits, one of them for the sign."""

WINDOW = 1 << 15
"""Bytes before a place that deflate may refer to (RFC 1951)."""

MAX_HEADER = 1 << 16
"""Bytes of the header of a gzip member."""

_SLICE = 1 << 16

_KINDS = {
    MemberKind.FILE: b"reg",
    MemberKind.HARD_LINK: b"hardlink",
    MemberKind.SYMLINK: b"symlink",
    MemberKind.CHARACTER: b"char",
    MemberKind.BLOCK: b"block",
    MemberKind.DIRECTORY: b"dir",
    MemberKind.FIFO: b"fifo",
}
_ALGORITHMS = {"gzip": 1, "none": 2}


class UnsuitedLayerError(SourceError):
    """No table can be made for a layer. It can be pulled as a whole."""


def make_ztoc(stored: Iterable[bytes], name: str, *, rows: bool) -> bytes:
    """Returns the table of a layer. One pass over it, in flat memory but for the table.

    Args:
        stored: The bytes of the layer, as they are stored.
        name: How it is stored, `none` or `gzip`.
        rows: Whether spans may reach over several gzip members.

    Raises:
        UnsuitedLayerError: It can't have one.
        IntegrityError: It is damaged, or holds what no two readers agree about.
    """
    if name not in _ALGORITHMS:
        raise UnsuitedLayerError(f"is stored in {name}, which soci-snapshotter does not read")
    spans = _Spans(stored)
    reader = _Gzip(spans, rows) if name == "gzip" else _Plain(spans)
    entries = [*_entries(read_tar(reader.tar(), held=True))]
    checkpoints = reader.checkpoints()
    digests = [f"sha256:{each}".encode() for each in spans.digests]
    if name == "gzip" and len(digests) == 1:
        raise UnsuitedLayerError("is one gzip stream, which can't be entered in its middle")
    info = Table((Byte(_ALGORITHMS[name]), Int(len(digests) - 1), Vector(digests), Octets(checkpoints)))
    sizes = Long(spans.position), Long(reader.size)
    return pack(Table((VERSION, TOOL.encode(), *sizes, Table((Vector(entries),)), info)))


def _entries(members: Iterable[Member]) -> Iterator[Table]:
    names: set[bytes] = set()
    for member in members:
        if b"g" in member.extended:
            raise UnsuitedLayerError("has PAX records for several files, which soci-snapshotter does not read")
        names.add(_clean(member.name))
        if member.kind is MemberKind.HARD_LINK and _clean(member.link) not in names:
            raise UnsuitedLayerError(f"{show(member.name)} is a hard link to what is not before it")
        xattrs = [
            Table((f"SCHILY.xattr.{key}".encode(errors="surrogateescape"), member.xattrs[key]))
            for key in sorted(member.xattrs)
        ]
        yield Table(
            (
                member.name,
                _KINDS[member.kind],
                Long(member.offset),
                Long(member.size),
                member.link or None,
                Long(member.mode),
                Int(member.uid),
                Int(member.gid),
                None,
                None,
                _time(member.mtime),
                *map(Long, member.device),
                Vector(xattrs) if xattrs else None,
            )
        )


def _clean(name: bytes) -> bytes:
    return posixpath.normpath(b"/" + name)


@lru_cache(64)
def _time(nanoseconds: int) -> bytes:
    """A time as RFC 3339 writes it, in UTC."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    try:
        text = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()
    except (OverflowError, ValueError, OSError):
        raise UnsuitedLayerError("has a file of a year that has more than four digits") from None
    return (text + f".{rest:09d}".rstrip("0").rstrip(".") + "Z").encode()


class _Spans:
    """The stored bytes, while they pass, and the digests of their spans. It is not a value: it is a position in a stream."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._held = memoryview(b"")
        self._hashed = sha256()
        self.position = 0
        self.digests: list[str] = []

    def peek(self) -> memoryview:
        """Returns some of the next bytes; none at the end."""
        while not self._held:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._held = memoryview(chunk)
        return self._held[:_SLICE]

    def take(self, count: int) -> memoryview:
        """Returns the next bytes, as many as there are of `count`; at most those of `peek`."""
        part = self.peek()[:count]
        self._hashed.update(part)
        self._held = self._held[len(part) :]
        self.position += len(part)
        return part

    def read(self, count: int) -> bytes:
        """Returns exactly `count` bytes.

        Raises:
            IntegrityError: There are not as many.
        """
        parts = []
        while count:
            part = self.take(count)
            if not part:
                raise IntegrityError("the gzip data is cut short")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def end(self) -> None:
        """Ends a span here."""
        self.digests.append(self._hashed.hexdigest())
        self.begin()

    def begin(self) -> None:
        """Begins a span here; what was before it is in none."""
        self._hashed = sha256()


class _Plain:
    """A plain tar, whose spans are all of one length."""

    def __init__(self, stored: _Spans) -> None:
        self._stored, self.size = stored, 0

    def tar(self) -> Iterator[bytes]:
        while part := self._stored.take(SPAN - self.size % SPAN):
            self.size += len(part)
            if self.size % SPAN == 0:
                self._stored.end()
            yield bytes(part)
        if self.size % SPAN:
            self._stored.end()

    def checkpoints(self) -> bytes:
        """Returns what a reader needs to know of the spans."""
        return pack(Table((Int(2), Long(SPAN), Long(self.size))))


class _Gzip:
    """Gzip members, and where their spans begin."""

    def __init__(self, stored: _Spans, rows: bool) -> None:
        self._stored, self._rows = stored, rows
        self._points: list[tuple[int, int, bytes]] = []
        self.size = 0

    def tar(self) -> Iterator[bytes]:
        members = 0
        while self._header():
            members += 1
            if members > 1 and not self._rows:
                raise UnsuitedLayerError("is a row of gzip members, which soci-snapshotter reads from version 0.14 on")
            begun, crc = self.size, 0
            for part in self._body():
                self.size += len(part)
                crc = codec.crc32(part, crc)
                self._check()
                yield part
            if self._stored.read(FRAME_TAIL) != codec.frame_tail(crc, self.size - begun):
                raise IntegrityError("damaged gzip data: a member has another CRC or size")
        self._stored.end()

    def checkpoints(self) -> bytes:
        """Returns what a reader needs to know of the spans."""
        points = (
            struct.pack("<qqB", stored, at, 0) + before.rjust(WINDOW, b"\0") for stored, at, before in self._points
        )
        return b"".join([struct.pack("<iq", len(self._points), SPAN), *points])

    def _enter(self, before: bytes) -> None:
        """Begins a span here, where the last one is long enough. `before` is what the stream may refer to."""
        if not self._points:
            self._stored.begin()
        elif self.size - self._points[-1][1] >= SPAN:
            self._stored.end()
        else:
            return
        self._points.append((self._stored.position, self.size, before))

    def _check(self) -> None:
        stored, at, _ = self._points[-1]
        if max(self.size - at, self._stored.position - stored) > MAX_SPAN:
            raise UnsuitedLayerError(
                f"has more than {MAX_SPAN >> 30} GiB in one gzip stream, which can't be entered in its middle"
            )
        if self.size > (allowed := UNPACK_LIMIT.after(self._stored.position)):
            raise IntegrityError(f"gzip data unpacks to more than {allowed} bytes", why="it is a decompression bomb")

    def _header(self) -> bool:
        """Passes over the header of a member (RFC 1952, 2.3), and zeros before it; False at the end."""
        while (part := self._stored.peek()) and not part[0] and self._points:
            self._stored.take(len(part) - len(bytes(part).lstrip(b"\0")))
        if not part:
            return False
        begun = self._stored.position
        head = self._stored.read(10)
        if head[:3] != b"\x1f\x8b\x08":
            raise IntegrityError("damaged gzip data: a member has another header")
        if head[3] & 4:
            self._stored.read(int.from_bytes(self._stored.read(2), "little"))
        for flag in (8, 16):
            while head[3] & flag and self._stored.read(1) != b"\0":
                if self._stored.position - begun > MAX_HEADER:
                    raise IntegrityError(f"damaged gzip data: a header of more than {MAX_HEADER} bytes")
        if head[3] & 2:
            self._stored.read(2)
        return True

    def _body(self) -> Iterator[bytes]:
        """The contents of a member: stored blocks by hand, since they can be entered, and what follows them by zlib."""
        before, last = b"", False
        while not last:
            self._enter(before)
            first = self._stored.peek()
            if first and first[0] & 6:
                yield from self._inflated(before)
                return
            head = self._stored.read(5)
            last, length = bool(head[0] & 1), int.from_bytes(head[1:3], "little")
            if length ^ int.from_bytes(head[3:], "little") != 0xFFFF:
                raise IntegrityError("damaged gzip data: a stored block of another length")
            data = self._stored.read(length)
            before = (before + data)[-WINDOW:]
            if data:
                yield data

    def _inflated(self, before: bytes) -> Iterator[bytes]:
        unpack = zlib.decompressobj(-zlib.MAX_WBITS, before)
        try:
            while not unpack.eof:
                part = self._stored.peek()
                data = unpack.decompress(part, CHUNK)
                left = unpack.unused_data if unpack.eof else unpack.unconsumed_tail
                self._stored.take(len(part) - len(left))
                if data:
                    yield data
                elif not part and not unpack.eof:
                    raise IntegrityError("the gzip data is cut short")
        except zlib.error as fault:
            raise IntegrityError(f"damaged gzip data: {fault}") from None
