"""A binary file that is read from front to back, exactly. Missing bytes are an IntegrityError, and nothing large is held in memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

from modelcrate_layers.content import CHUNK
from modelcrate_layers.errors import IntegrityError

MAX_LINE = 1 << 20
"""Bytes of a line that are returned. Longer lines (arrays in pickles of protocol 0) are read to their end and not returned."""

PADDING = b"\0\t\n\r "
"""Bytes that may follow the end of a file's content and mean nothing."""


class LimitError(IntegrityError):
    """The reader met one of its limits. A program without that limit would read on: what follows is unread, not harmless."""


class ByteReader:
    """Exact reads over a file. It is not a value, because it has a position.

    With a `limit`, reading more bytes than that is a LimitError: it is for compressed streams, whose length is not known before.
    """

    def __init__(self, file: BinaryIO, limit: int | None = None) -> None:
        self._file, self._limit = file, limit
        self.position = 0

    def read(self, size: int) -> bytes:
        """Returns exactly `size` bytes, which have to be few."""
        data = self._file.read(size)
        if len(data) != size:
            raise IntegrityError(f"is cut short: {size} bytes should follow byte {self.position}, and {len(data)} do")
        self._count(size)
        return data

    def maybe(self) -> bytes:
        """Returns the next byte, or nothing at the end."""
        data = self._file.read(1)
        self._count(len(data))
        return data

    def peek(self, size: int) -> bytes:
        """Returns the next `size` bytes, or fewer at the end, and stays where it is."""
        data = self._file.read(size)
        self._file.seek(self.position)
        return data

    def line(self) -> bytes | None:
        """Returns the bytes up to the next line break, without it; None for a line of more than MAX_LINE bytes, which is passed over."""
        data = self._file.readline(MAX_LINE)
        self._count(len(data))
        if (
            data.endswith(b"\n") or 2 <= len(data) < MAX_LINE
        ):  # at the end of a file Python drops the last byte, whatever it is
            return data[:-1]
        while len(piece := self._file.readline(MAX_LINE)):
            self._count(len(piece))
            if piece.endswith(b"\n"):
                return None
        raise IntegrityError("is cut short: a line has no end")

    def skip(self, size: int) -> None:
        """Passes over `size` bytes; many of them are not read, but in a compressed stream."""
        if size < 0:
            raise IntegrityError(f"has a length below zero: {size}")
        if size <= CHUNK or self._limit is not None:
            for _ in self.pieces(size):
                pass
            return
        here = self._file.tell()
        lacking = size - (self._file.seek(0, io.SEEK_END) - here)
        if lacking > 0:
            raise IntegrityError(
                f"is cut short: {lacking} bytes are missing after byte {self.position + size - lacking}"
            )
        self._file.seek(here + size)
        self._count(size)

    def pieces(self, size: int) -> Iterator[bytes]:
        """Yields the next `size` bytes in pieces."""
        while size:
            piece = self._file.read(min(size, CHUNK))
            if not piece:
                raise IntegrityError(f"is cut short: {size} bytes are missing after byte {self.position}")
            self._count(len(piece))
            size -= len(piece)
            yield piece

    def ends_in_padding(self) -> bool:
        """Returns whether only PADDING is left. It reads up to the first other byte."""
        while piece := self._file.read(CHUNK):
            self._count(len(piece))
            if piece.strip(PADDING):
                return False
        return True

    def _count(self, size: int) -> None:
        self.position += size
        if self._limit is not None and self.position > self._limit:
            raise LimitError(f"unpacks to more than {self._limit} bytes")
