"""FlatBuffers, as far as tables of contents need them: written only, from a tree of tables.

A buffer is a row of objects that name each other by distance (flatbuffers.dev, "FlatBuffer internals"). Here a table stands before what it names, and
texts come last, each once, whoever names it. So the bytes follow from the values alone.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Sequence

from modelcrate_layers.errors import SourceError
from modelcrate_layers.frozen import NamedTuple

MAX_SIZE = (1 << 31) - 1
"""Bytes of a buffer: distances are of 32 bits, one of them for the sign."""


class Byte(NamedTuple):
    """A number of 8 bits."""

    value: int


class Int(NamedTuple):
    """A number of 32 bits; one without a sign has the same bytes."""

    value: int


class Long(NamedTuple):
    """A number of 64 bits."""

    value: int


class Octets(NamedTuple):
    """A vector of bytes. A text is plain `bytes`, and each text stands in the buffer once."""

    data: bytes


class Table(NamedTuple):
    """A table: the values of its slots, in their order; None where a slot keeps its default."""

    slots: Sequence[Value]


class Vector(NamedTuple):
    """A vector of tables or texts."""

    items: Sequence[Table | bytes]


Value = Byte | Int | Long | Octets | Table | Vector | bytes | None

_NUMBERS = {Byte: ("<B", 1), Int: ("<I", 4), Long: ("<q", 8)}


def pack(root: Table) -> bytes:
    """Returns the buffer of a table and of all that it names.

    Raises:
        SourceError: It would be larger than MAX_SIZE.
    """
    out = bytearray(4)
    shapes: dict[bytes, int] = {}
    texts: dict[bytes, list[int]] = {}
    waiting: deque[tuple[int, Table | Vector | Octets]] = deque([(0, root)])
    while waiting:
        named, value = waiting.popleft()
        if isinstance(value, Table):
            inner = _table(out, value, shapes)
        else:
            out += bytes(-len(out) % 4)
            inner = _vector(out, value)
        _point(out, named, inner[0])
        for place, each in inner[1]:
            if isinstance(each, bytes):
                texts.setdefault(each, []).append(place)
            else:
                waiting.append((place, each))
        if len(out) > MAX_SIZE:
            break
    for text, places in texts.items():
        out += bytes(-len(out) % 4)
        for place in places:
            _point(out, place, len(out))
        out += struct.pack("<I", len(text)) + text + b"\0"
    if len(out) > MAX_SIZE:
        raise SourceError(f"a table of contents of more than {MAX_SIZE} bytes")
    return bytes(out)


_Named = list[tuple[int, "Table | Vector | Octets | bytes"]]
"""What an object names, with the places where the distances to it belong."""


def _table(out: bytearray, table: Table, shapes: dict[bytes, int]) -> tuple[int, _Named]:
    """Appends a table, and its shape where no table before has the same one; returns its place. Wide numbers come first: each stands at a multiple of its size."""
    size = 4
    offsets = [0] * len(table.slots)
    for width in (8, 4, 1):
        for slot, value in enumerate(table.slots):
            if value is not None and _width(value) == width:
                offsets[slot], size = size, size + width
    shape = struct.pack(f"<{2 + len(offsets)}H", 4 + 2 * len(offsets), size, *offsets)
    if shape not in shapes:
        out += bytes(-len(out) % 2)
        shapes[shape] = len(out)
        out += shape
    out += bytes((4 - len(out)) % 8)  # behind the distance to the shape, at 8
    place = len(out)
    out += struct.pack("<i", place - shapes[shape]) + bytes(size - 4)
    named: _Named = []
    for offset, value in zip(offsets, table.slots, strict=True):
        if isinstance(value, Byte | Int | Long):
            struct.pack_into(_NUMBERS[type(value)][0], out, place + offset, value.value)
        elif value is not None:
            named.append((place + offset, value))
    return place, named


def _vector(out: bytearray, vector: Vector | Octets) -> tuple[int, _Named]:
    place = len(out)
    if isinstance(vector, Octets):
        out += struct.pack("<I", len(vector.data))
        out += vector.data
        return place, []
    out += struct.pack("<I", len(vector.items)) + bytes(4 * len(vector.items))
    return place, [(place + 4 + 4 * at, each) for at, each in enumerate(vector.items)]


def _width(value: Value) -> int:
    return _NUMBERS[type(value)][1] if isinstance(value, Byte | Int | Long) else 4


def _point(out: bytearray, place: int, target: int) -> None:
    struct.pack_into("<I", out, place, target - place)
