"""A binary file read from front to back, exactly: what is missing at its end is an IntegrityError, and nothing large is held."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from modelcrate_layers.content import CHUNK
from modelcrate_layers.errors import IntegrityError

MAX_LINE = 1 << 16
"""Bytes of one line: names and numbers of pickles in text form."""


class ByteReader:
    """Exact reads over a file. Not a value: it is a position. With a `limit`, more bytes than that are an IntegrityError: they come
    out of a compressed stream that nobody has measured."""

    def __init__(self, file: BinaryIO, limit: int | None = None) -> None:
        self._file, self._limit = file, limit
        self.position = 0

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes; those that are read at once are few."""
        data = self._file.read(size)
        if len(data) != size:
            raise IntegrityError(f"is cut short: {size} bytes were to follow byte {self.position}, and {len(data)} do")
        self._count(size)
        return data

    def maybe(self) -> bytes:
        """The next byte, or nothing at the end."""
        data = self._file.read(1)
        self._count(len(data))
        return data

    def line(self) -> bytes:
        """To the next line break, without it."""
        data = self._file.readline(MAX_LINE)
        self._count(len(data))
        if not data.endswith(b"\n"):
            raise IntegrityError("is cut short, or has a line without an end")
        return data[:-1]

    def skip(self, size: int) -> None:
        """Pass over `size` bytes that nobody wants to see."""
        if size < 0:
            raise IntegrityError(f"has a length below zero: {size}")
        for _ in self.pieces(size):
            pass

    def pieces(self, size: int) -> Iterator[bytes]:
        """The next `size` bytes in pieces."""
        while size:
            piece = self._file.read(min(size, CHUNK))
            if not piece:
                raise IntegrityError(f"is cut short: {size} bytes are missing after byte {self.position}")
            self._count(len(piece))
            size -= len(piece)
            yield piece

    def _count(self, size: int) -> None:
        self.position += size
        if self._limit is not None and self.position > self._limit:
            raise IntegrityError(f"unpacks to more than {self._limit} bytes")
