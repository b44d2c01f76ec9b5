"""The bytes of an HDF5 file by their addresses, and the two simple heaps. Anything out of the file is an IntegrityError."""

from __future__ import annotations

from typing import BinaryIO

from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass

MAX_BLOCK = 128 << 20
"""Bytes that are read at once: a heap with Keras' configuration."""


class Cursor:
    """Some bytes, taken from front to back. It is not a value, because it has a position."""

    def __init__(self, data: bytes) -> None:
        self.data, self._at = data, 0

    @property
    def left(self) -> int:
        """The number of bytes that are left."""
        return len(self.data) - self._at

    def take(self, size: int) -> bytes:
        """Returns the next `size` bytes."""
        if size > self.left:
            raise IntegrityError("has a structure that is shorter than it says")
        self._at += size
        return self.data[self._at - size : self._at]

    def uint(self, size: int) -> int:
        """Returns the next number of `size` bytes."""
        return int.from_bytes(self.take(size), "little")


Span = tuple[int, int, Cursor]
"""Type, flags and body of a message."""


@dataclass(frozen=True, slots=True)
class Hdf5Bytes:
    """A file, where its addresses begin, its size, and the bytes of an address (`offsets`) and of a length (`lengths`) in it."""

    file: BinaryIO
    start: int
    size: int
    offsets: int
    lengths: int

    @property
    def undefined(self) -> int:
        """The address of nothing."""
        return (1 << 8 * self.offsets) - 1

    def read(self, address: int, size: int) -> bytes:
        """Returns the bytes at an address."""
        at = self.start + address
        if not 0 <= size <= MAX_BLOCK or at + size > self.size:
            raise IntegrityError(f"has an address that leads out of it: {size} bytes at byte {at}")
        self.file.seek(at)
        data = self.file.read(size)
        if len(data) != size:
            raise IntegrityError(f"is cut short: {size} bytes should be at byte {at}")
        return data

    def local_heap(self, address: int) -> bytes:
        """Returns the data of a local heap."""
        head = Cursor(self.read(address, 8 + 2 * self.lengths + self.offsets))
        if head.take(4) != b"HEAP":
            raise IntegrityError(f"has no local heap at byte {address}")
        head.take(4)
        size = head.uint(self.lengths)
        head.take(self.lengths)
        return self.read(head.uint(self.offsets), size)

    def in_global_heap(self, address: int, index: int) -> bytes:
        """Returns an object of a global heap."""
        head = Cursor(self.read(address, 8 + self.lengths))
        if head.take(4) != b"GCOL":
            raise IntegrityError(f"has no global heap at byte {address}")
        head.take(4)
        size = head.uint(self.lengths)
        heap = Cursor(self.read(address + 8 + self.lengths, size - 8 - self.lengths))
        while heap.left >= 8 + self.lengths:
            number = heap.uint(2)
            heap.take(6)
            length = heap.uint(self.lengths)
            if number == 0:  # the free space at the end
                break
            data = heap.take(-(-length // 8) * 8)
            if number == index:
                return data[:length]
        raise IntegrityError("has a text that its heap doesn't have")
