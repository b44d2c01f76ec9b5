"""Ranges of files, and the output of decompressors, as files of their own that can be read again from the start."""

from __future__ import annotations

import codecs
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from typing import BinaryIO

from modelcrate.modelfiles.beginnings import ZFILE
from modelcrate_layers.content import CHUNK
from modelcrate_layers.errors import IntegrityError


class Window(io.RawIOBase):
    """A range of a file as a file."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file, self._start, self._size, self._at = file, start, max(0, size), 0

    def readable(self) -> bool:
        """Returns True."""
        return True

    def seekable(self) -> bool:
        """Returns True."""
        return True

    def tell(self) -> int:
        """Returns the position in bytes."""
        return self._at

    def seek(self, offset: int, known_from: int = io.SEEK_SET) -> int:
        """Moves the position, and returns it. A position behind the end is allowed, as in any file."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[known_from]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: object) -> int:
        """Reads bytes of the range into a buffer, and returns their number; 0 at the end."""
        view = memoryview(buffer)  # type: ignore[arg-type]  # a writable buffer, which typing can't say before 3.12
        size = max(0, min(len(view), self._size - self._at))
        self._file.seek(self._start + self._at)
        data = self._file.read(size)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)


RECENT = 1 << 17
"""Bytes by which an unpacked stream goes back without being unpacked again: the buffer of a reader above it, twice."""


class Unpacked(io.RawIOBase):
    """The output of a decompressor, as a file. Going back by more than RECENT bytes starts the decompressor again.

    A stream that is damaged, cut short, or followed by other bytes raises an IntegrityError where that is read.
    """

    def __init__(self, pieces: Callable[[], Iterator[bytes]]) -> None:
        self._pieces = pieces
        self._restart()

    def _restart(self) -> None:
        self._rest, self._held, self._recent, self._at = self._pieces(), b"", b"", 0

    def readable(self) -> bool:
        """Returns True."""
        return True

    def seekable(self) -> bool:
        """Returns True."""
        return True

    def tell(self) -> int:
        """Returns the position in bytes."""
        return self._at

    def seek(self, offset: int, known_from: int = io.SEEK_SET) -> int:
        """Moves the position, and returns it.

        Raises:
            OSError: The position is negative, or relative to the end, which a compressed stream doesn't state.
        """
        target = offset + (self._at if known_from == io.SEEK_CUR else 0)
        if known_from == io.SEEK_END or target < 0:
            raise OSError("a compressed stream has no end to count from")
        if 0 < (back := self._at - target) <= len(self._recent):
            self._held, self._recent = self._recent[-back:] + self._held, self._recent[:-back]
            self._at = target
        elif back > 0:
            self._restart()
        while self._at < target and self.read(min(target - self._at, CHUNK)):
            pass
        return self._at

    def readinto(self, buffer: object) -> int:
        """Reads unpacked bytes into a buffer, and returns their number; 0 at the end.

        Raises:
            IntegrityError: The stream is damaged.
        """
        view = memoryview(buffer)  # type: ignore[arg-type]  # as above
        while not self._held:
            piece = next(self._rest, None)
            if piece is None:
                return 0
            self._held = piece
        data, self._held = self._held[: len(view)], self._held[len(view) :]
        view[: len(data)] = data
        self._recent = (self._recent + data)[-RECENT:]
        self._at += len(data)
        return len(data)


def chunks_of(file: BinaryIO) -> Iterator[bytes]:
    """Yields a file's bytes from its start, even if its position is moved meanwhile."""
    at = 0
    while True:
        file.seek(at)
        chunk = file.read(CHUNK)
        if not chunk:
            return
        at += len(chunk)
        yield chunk


def zlib_streams(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Unpacks zlib streams (RFC 1950), one behind the other, as joblib does."""
    return _unpack(chunks, lambda: zlib.decompressobj(zlib.MAX_WBITS), "zlib")


def zfile_stream(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Unpacks what joblib packed before 0.10: one zlib stream behind a header."""
    first = ZFILE.sub(b"", next(chunks), 1)
    return _unpack(chain([first], chunks), lambda: zlib.decompressobj(zlib.MAX_WBITS), "zlib", one=True)


def deflate_stream(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Unpacks one deflate stream (RFC 1951), as a member of a zip is."""
    return _unpack(chunks, lambda: zlib.decompressobj(-zlib.MAX_WBITS), "deflate", one=True)


def latin_stream(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Unpacks bytes that were written as the text of their characters, in UTF-8: pickles before protocol 3 have no others.

    Raises:
        UnicodeError: It is another text.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    for chunk in chunks:
        yield decoder.decode(chunk).encode("latin-1")
    decoder.decode(b"", final=True)


def lz4_frames(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Unpacks frames of lz4, one behind the other, as joblib does.

    Raises:
        IntegrityError: They are damaged, or the library that unpacks them is not installed.
    """
    try:
        from lz4.frame import LZ4FrameDecompressor
    except ImportError:
        raise IntegrityError("lz4 takes a library that is not installed (pip install 'modelcrate[lz4]')") from None
    unpack = LZ4FrameDecompressor()
    try:
        for chunk in chunks:
            while chunk or not (unpack.needs_input or unpack.eof):
                if unpack.eof:
                    unpack = LZ4FrameDecompressor()
                if piece := unpack.decompress(chunk, CHUNK):
                    yield piece
                chunk = (unpack.unused_data or b"") if unpack.eof else b""
    except RuntimeError as fault:
        raise IntegrityError(f"has damaged lz4 data: {fault}") from None
    if not unpack.eof:
        raise IntegrityError("has lz4 data that is cut short")


def lzma_stream(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Unpacks one stream of the format before xz."""
    unpack = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=1 << 28)
    try:
        for chunk in chunks:
            if unpack.eof:
                raise IntegrityError("has bytes behind the end of its lzma data")
            while chunk or not (unpack.needs_input or unpack.eof):
                if piece := unpack.decompress(chunk, CHUNK):
                    yield piece
                chunk = b""
    except lzma.LZMAError as fault:
        raise IntegrityError(f"has damaged lzma data: {fault}") from None
    if not unpack.eof or unpack.unused_data:
        raise IntegrityError("has lzma data that is cut short, or bytes behind it")


def _unpack(chunks: Iterator[bytes], new: Callable[[], object], what: str, one: bool = False) -> Iterator[bytes]:
    unpack: zlib._Decompress = new()  # type: ignore[assignment]  # zlib has no public name for it
    try:
        for chunk in chunks:
            while chunk:
                if unpack.eof:
                    if one:
                        raise IntegrityError(f"has bytes behind the end of its {what} data")
                    unpack = new()  # type: ignore[assignment]  # as above
                if piece := unpack.decompress(chunk, CHUNK):
                    yield piece
                chunk = unpack.unused_data if unpack.eof else unpack.unconsumed_tail
    except zlib.error as fault:
        raise IntegrityError(f"has damaged {what} data: {fault}") from None
    while not unpack.eof and (piece := unpack.decompress(b"", CHUNK)):
        yield piece
    if not unpack.eof:
        raise IntegrityError(f"has {what} data that is cut short")
