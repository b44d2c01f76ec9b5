"""Spans of a stored layer: where a reader can begin, what it needs to know to begin there, and the digests of what is between.

In gzip a reader can begin where a member does (there nothing is before it), and where a block does, by the 32 KiB before it. Within a member that is not the
first nothing is entered. So a span is one file at least in a row of members (`splice`).

Readers before soci-snapshotter 0.14 take what is behind the first member of a span for zeros, without a word. So rows are taken only where that is wanted,
and only such whose files end in the member that they begin in. Their spans begin in the contents of a file, and what is behind that in the same member is of that file
alone. So such a reader finds zeros where the header of any file but the first should be. It reads that before the file, and gives an error.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from hashlib import sha256

from modelcrate_layers.errors import IntegrityError, SourceError
from modelcrate_layers.tar import codec
from modelcrate_layers.tar.codec import FRAME_TAIL, MAX_UNPACKED, UNPACK_LIMIT
from modelcrate_layers.tar.deflate_blocks import HEAD, block_starts
from modelcrate_layers.tar.flatbuffer import Int, Long, Table, pack

SPAN = 4 << 20
"""Bytes of the tar after which the next span may begin: soci-snapshotter's own default."""

MAX_SPAN = 1 << 30
"""Bytes of the largest span: a reader fetches it as a whole into memory, and counts in 32 bits, one of them for the sign."""

WINDOW = 1 << 15
"""Bytes before a place that deflate may refer to (RFC 1951)."""

MAX_HEADER = 1 << 16
"""Bytes of the header of a gzip member."""

_SLICE = 1 << 16
_PIECE = 1 << 14
"""Bytes of a deflate stream that are unpacked at once: they give 16 MiB at most."""


class UnsuitedLayerError(SourceError):
    """No table can be made for a layer. It can be pulled as a whole."""


class Stored:
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

    def ahead(self, count: int) -> bytes:
        """Returns the next bytes, `count` of them, or all that there are; what is taken next begins with them."""
        while len(self._held) < count and (chunk := next(self._chunks, None)) is not None:
            self._held = memoryview(bytes(self._held) + chunk)
        return bytes(self._held[:count])

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

    def begin(self, before: bytes = b"") -> None:
        """Begins a span here; what was before it is in none, but for some bytes that are in this one, too."""
        self._hashed = sha256(before)


class PlainSpans:
    """A plain tar, whose spans are all of one length. It is the pass over it."""

    body = range(0)

    def __init__(self, stored: Stored) -> None:
        self._stored, self.size = stored, 0

    def tar(self) -> Iterator[bytes]:
        """Yields the tar."""
        while part := self._stored.take(SPAN - self.size % SPAN):
            self.size += len(part)
            if self.size % SPAN == 0:
                self._stored.end()
            yield bytes(part)
        if self.size % SPAN:
            self._stored.end()

    def checkpoints(self) -> bytes:
        """Returns what a reader needs to know of the spans, once the tar has ended."""
        return pack(Table((Int(2), Long(SPAN), Long(self.size))))


class GzipSpans:
    """Gzip members, and where their spans begin. It is the pass over them.

    Who takes the tar says in `body` where in it the contents of the last entry are, before the first byte of them is taken.
    """

    def __init__(self, stored: Stored, rows: bool, largest: int = MAX_SPAN) -> None:
        self._stored, self._rows, self._largest = stored, rows, largest
        self._points: list[tuple[int, int, int, bytes]] = []
        self._members, self._begun, self._apart = 0, 0, True
        self._reach = MAX_UNPACKED
        self.size, self.body = 0, range(0)

    def tar(self) -> Iterator[bytes]:
        """Yields the tar.

        Raises:
            IntegrityError: The stream is damaged.
            UnsuitedLayerError: It is a row where rows are not wanted, or one in which a span would be too large.
        """
        while self._header():
            self._members += 1
            if self._members > 1 and not self._rows:
                raise UnsuitedLayerError("is a row of gzip members, which soci-snapshotter reads from version 0.14 on")
            self._begun, crc = self.size, 0
            self._apart = self._apart and not self.body.start < self.size < self.body.stop
            for part in self._contents():
                self.size += len(part)
                crc = codec.crc32(part, crc)
                self._check()
                yield part
            if self._stored.read(FRAME_TAIL) != codec.frame_tail(crc, self.size - self._begun):
                raise IntegrityError("damaged gzip data: a member has another CRC or size")
            self._apart = self._apart and self.size <= self._reach
            self._reach = MAX_UNPACKED
        self._stored.end()

    def checkpoints(self) -> bytes:
        """Returns what a reader needs to know of the spans, once the tar has ended.

        Raises:
            UnsuitedLayerError: There is but one span, or the members of a row are not files.
        """
        if len(self._points) == 1:
            raise UnsuitedLayerError("is one gzip stream, which can't be entered in its middle")
        if self._members > 1 and not self._apart:
            raise UnsuitedLayerError(
                "is a row of gzip members that are not files, which old versions of soci-snapshotter misread"
            )
        points = (struct.pack("<qqB", *place) + past.rjust(WINDOW, b"\0") for *place, past in self._points)
        return b"".join([struct.pack("<iq", len(self._points), SPAN), *points])

    def _enter(self, past: bytes, bits: int = 0, shared: bytes = b"") -> None:
        """Begins a span here, where one may begin, and the last one is long enough.

        Args:
            past: What the stream may refer to.
            bits: How many bits of the last byte are of this span.
            shared: That byte, which is in both spans.
        """
        if not self._points:
            self._stored.begin()
        elif self._in_file and (self._first_file or self._is_due(0)):
            self._stored.end()
            self._stored.begin(shared)
            self._reach = self.body.stop
        else:
            return
        self._points.append((self._stored.position, self.size, bits, past))

    def _is_due(self, more: int) -> bool:
        """Returns whether the last span is long enough, once so many bytes more are of it."""
        return self.size + more - self._points[-1][1] >= SPAN

    @property
    def _in_file(self) -> bool:
        """Whether the next byte is of a file; in a row, of one that begins with its member."""
        return self.size in self.body and (self._members == 1 or self.body.start == self._begun)

    @property
    def _first_file(self) -> bool:
        """Whether it is the first file of a row: its header is in the first span, and is read there."""
        return self._members > 1 and len(self._points) == 1

    def _check(self) -> None:
        stored, at, _, _ = self._points[-1]
        if max(self.size - at, self._stored.position - stored) > self._largest:
            raise UnsuitedLayerError(
                f"has more than {self._largest >> 20} MiB in one gzip stream, which can't be entered in its middle"
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

    def _contents(self) -> Iterator[bytes]:
        """The contents of a member: stored blocks by hand, since they can be entered, and what follows them by zlib."""
        past, last = b"", False
        while not last:
            self._enter(past)
            first = self._stored.peek()
            if first and first[0] & 6:
                yield from self._inflated(past)
                return
            head = self._stored.read(5)
            last, length = bool(head[0] & 1), int.from_bytes(head[1:3], "little")
            if length ^ int.from_bytes(head[3:], "little") != 0xFFFF:
                raise IntegrityError("damaged gzip data: a stored block of another length")
            data = self._stored.read(length)
            past = (past + data)[-WINDOW:]
            if data:
                yield data

    def _inflated(self, past: bytes) -> Iterator[bytes]:
        """The rest of a member. Its blocks can be entered in the first one alone; a reader takes the place within a byte from the table."""
        unpack = zlib.decompressobj(-zlib.MAX_WBITS, past)
        try:
            while not unpack.eof:
                seen, before = self._stored.ahead(_PIECE + HEAD), unpack.copy()
                part = seen[:_PIECE]
                if not part:
                    raise IntegrityError("the gzip data is cut short")
                data = unpack.decompress(part)
                length = len(part) - len(unpack.unused_data)
                used = given = 0
                if self._members == 1 and self._is_due(len(data)):
                    for place in block_starts(before, seen, length):
                        if self._is_due(place.given - given):
                            self._stored.read(place.before - used)
                            yield data[given : place.given]
                            used, given = place.before, place.given
                            shared = seen[used - 1 : used] if place.bits else b""
                            self._enter((past + data[:given])[-WINDOW:], place.bits, shared)
                self._stored.read(length - used)
                past = (past + data)[-WINDOW:]
                if given < len(data):
                    yield data[given:]
        except zlib.error as fault:
            raise IntegrityError(f"damaged gzip data: {fault}") from None
