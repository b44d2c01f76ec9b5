"""The storage of many links or attributes in HDF5: a fractal heap, and a tree of version 2 that lists what is in it (sections III.G and III.A.2)."""

from __future__ import annotations

from collections.abc import Iterator

from modelcrate.modelfiles.hdf5_reading import Cursor, Hdf5Bytes
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass

_NAMES = {5: 4, 8: 9}
"""The types of trees by names of links and of attributes, and the bytes of their records beside the heap's own: a hash, flags, order."""

MAX_DEPTH = 32


@dataclass(frozen=True, slots=True)
class DenseStorage:
    """A fractal heap without filters: where its blocks are, and how places in it are written."""

    at: Hdf5Bytes
    id_length: int
    width: int
    first: int
    largest: int
    offset_bytes: int
    length_bytes: int
    root: int
    rows: int

    @classmethod
    def open(cls, at: Hdf5Bytes, address: int) -> DenseStorage:
        """Reads the heap's header."""
        o, n = at.offsets, at.lengths
        head = Cursor(at.read(address, 26 + 3 * o + 12 * n))
        if head.take(4) != b"FRHP" or head.uint(1) != 0:
            raise IntegrityError(f"has no heap at byte {address}")
        id_length, filters = head.uint(2), head.uint(2)
        head.take(1)
        managed = head.uint(4)
        head.take(10 * n + 2 * o)
        if filters:
            raise IntegrityError("has links or attributes that went through a filter")
        width, first, largest, bits = head.uint(2), head.uint(n), head.uint(n), head.uint(2)
        head.take(2)
        root, rows = head.uint(o), head.uint(2)
        if not width or not first or first & (first - 1) or largest < first or largest & (largest - 1) or bits > 64:
            raise IntegrityError("has a heap of an impossible size")
        length = min(-(-(largest.bit_length() - 1) // 8), _bytes_for(managed))
        return cls(at, id_length, width, first, largest, -(-bits // 8), length, root, rows)

    def records(self, address: int) -> Iterator[bytes]:
        """Yields what a tree by names lists."""
        o, n = self.at.offsets, self.at.lengths
        head = Cursor(self.at.read(address, 16 + o + 2 + n))
        if head.take(4) != b"BTHD" or head.uint(1) != 0:
            raise IntegrityError(f"has no tree at byte {address}")
        kind = head.uint(1)
        node_size, record_size, depth = head.uint(4), head.uint(2), head.uint(2)
        head.take(2)
        root, count = head.uint(o), head.uint(2)
        if kind not in _NAMES or record_size != _NAMES[kind] + self.id_length or depth > MAX_DEPTH:
            raise IntegrityError("has a tree of an unknown kind")
        if root == self.at.undefined:
            return
        front = kind == 8
        for record in self._node(root, count, depth, node_size, record_size):
            yield self._managed(record[: self.id_length] if front else record[4:])

    def _node(self, address: int, count: int, depth: int, node_size: int, record_size: int) -> Iterator[bytes]:
        """Yields the records of a node and of all below it."""
        data = Cursor(self.at.read(address, node_size))
        if data.take(4) != (b"BTIN" if depth else b"BTLF"):
            raise IntegrityError(f"has no node of a tree at byte {address}")
        data.take(2)
        for _ in range(count):
            yield data.take(record_size)
        if not depth:
            return
        counts, totals = self._pointer_bytes(depth, node_size, record_size)
        for _ in range(count + 1):
            child, inner = data.uint(self.at.offsets), data.uint(counts)
            data.take(totals)
            yield from self._node(child, inner, depth - 1, node_size, record_size)

    def _pointer_bytes(self, depth: int, node_size: int, record_size: int) -> tuple[int, int]:
        """Returns how many bytes the two counts beside an address have: the records of the child, and of all below it (none for a leaf)."""
        total = (node_size - 10) // record_size
        counts, totals = _bytes_for(total), 0
        for _ in range(depth - 1):
            pointer = self.at.offsets + counts + totals
            most = (node_size - 10 - pointer) // (record_size + pointer)
            total = (most + 1) * total + most
            totals = _bytes_for(total)
        return counts, totals

    def _managed(self, identifier: bytes) -> bytes:
        """Returns an object of the heap."""
        if not identifier or identifier[0] & 0xF0:
            raise IntegrityError("has a link or an attribute outside of its heap's blocks")
        place = Cursor(identifier[1:])
        offset, size = place.uint(self.offset_bytes), place.uint(self.length_bytes)
        address, inner = self._block(self.root, self.rows, offset)
        return self.at.read(address + inner, size)

    def _block(self, address: int, rows: int, offset: int) -> tuple[int, int]:
        """Returns the address of the direct block with this offset of the heap, and the place in it."""
        for _ in range(MAX_DEPTH):
            if address == self.at.undefined:
                break
            if rows == 0:
                if self.at.read(address, 4) != b"FHDB":
                    break
                return address, offset
            if self.at.read(address, 4) != b"FHIB":
                break
            address, rows, offset = self._child(address, rows, offset)
        raise IntegrityError("has a heap whose blocks can't be followed")

    def _child(self, address: int, rows: int, offset: int) -> tuple[int, int, int]:
        """Returns the block below an indirect one: its address, its rows (0 for a direct block), and the offset in it."""
        o = self.at.offsets
        at = address + 5 + o + self.offset_bytes
        start = 0
        for row in range(rows):
            size = self.first << max(0, row - 1)
            for column in range(self.width):
                if start <= offset < start + size:
                    child = int.from_bytes(self.at.read(at + (row * self.width + column) * o, o), "little")
                    direct = size <= self.largest
                    return child, 0 if direct else self._rows_of(size), offset - start
                start += size
        raise IntegrityError("has a place that its heap doesn't have")

    def _rows_of(self, size: int) -> int:
        """Returns the rows of an indirect block that covers so many bytes."""
        rows, covered = 0, 0
        while covered < size and rows < 64:
            covered += self.width * (self.first << max(0, rows - 1))
            rows += 1
        return rows


def _bytes_for(count: int) -> int:
    return (count.bit_length() + 7) // 8
