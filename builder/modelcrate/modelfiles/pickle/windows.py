"""Parts of files, and what comes out of deflate, as files of their own that can be wound back."""

from __future__ import annotations

import io
import zlib
from typing import BinaryIO

from modelcrate_layers.content import CHUNK


class Window(io.RawIOBase):
    """A range of a file as a file."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file, self._start, self._size, self._at = file, start, max(0, size), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, known_from: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[known_from]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]  # a writable buffer, which typing can't say before 3.12
        size = max(0, min(len(view), self._size - self._at))
        self._file.seek(self._start + self._at)
        data = self._file.read(size)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)


class Inflated(io.RawIOBase):
    """A zlib stream (`wbits` as in zlib) as a file that can be read on, and wound back to its beginning."""

    def __init__(self, file: BinaryIO, wbits: int) -> None:
        self._file, self._wbits, self._at = file, wbits, 0
        self._begin()

    def _begin(self) -> None:
        self._file.seek(0)
        self._machine, self._held, self._at = zlib.decompressobj(self._wbits), b"", 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, known_from: int = io.SEEK_SET) -> int:
        target = offset + (self._at if known_from == io.SEEK_CUR else 0)
        if known_from == io.SEEK_END or target < 0:
            raise OSError("a compressed stream has no end to count from")
        if target < self._at:
            self._begin()
        while self._at < target and self.read(min(target - self._at, CHUNK)):
            pass
        return self._at

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]  # as above
        while not self._machine.eof:
            data = self._machine.decompress(self._held or self._file.read(CHUNK), len(view))
            more = bool(self._machine.unconsumed_tail)
            self._held = self._machine.unconsumed_tail
            if data:
                view[: len(data)] = data
                self._at += len(data)
                return len(data)
            if not more and not self._machine.eof and not self._peek():
                raise EOFError("a compressed stream is cut short")
        return 0

    def _peek(self) -> bool:
        self._held = self._file.read(CHUNK)
        return bool(self._held)
