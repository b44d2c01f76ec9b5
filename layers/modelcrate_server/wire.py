"""Protocol Buffers on the wire, as far as our messages need them: https://protobuf.dev/programming-guides/encoding.

No library for it has to be in the image.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Union

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_MASK = (1 << 64) - 1

Value = Union[int, bytes]


class WireError(ValueError):
    """The bytes are no message."""


def varint(number: int) -> bytes:
    """Returns a whole number as base-128 digits; negative ones as their two's complement of 64 bits."""
    number &= _MASK
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def whole(field: int, number: int) -> bytes:
    """Returns a field with a whole number or a truth value; nothing for zero, the default."""
    return varint(field << 3 | VARINT) + varint(number) if number else b""


def fixed64(field: int, number: int) -> bytes:
    """Returns a field with a number of eight bytes."""
    return varint(field << 3 | FIXED64) + struct.pack("<Q", number)


def part(field: int, data: bytes) -> bytes:
    """Returns a field with bytes or another message, which may be empty."""
    return varint(field << 3 | LENGTH) + varint(len(data)) + data


def text(field: int, value: str) -> bytes:
    """Returns a field with a text; nothing for an empty one, the default."""
    return part(field, value.encode()) if value else b""


def packed(field: int, numbers: Iterable[int]) -> bytes:
    """Returns a field with whole numbers in a row; nothing without any."""
    row = b"".join(map(varint, numbers))
    return part(field, row) if row else b""


def fields(data: bytes) -> Iterator[tuple[int, Value]]:
    """Yields each field's number and value: a number, or bytes.

    Raises:
        WireError: The bytes are no message.
    """
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        field, kind = key >> 3, key & 7
        if not 0 < field < 1 << 29:
            raise WireError(f"{field} is no number of a field")
        if kind == VARINT:
            value: Value
            value, place = _varint(data, place)
        elif kind in (FIXED64, FIXED32, LENGTH):
            size = 8 if kind == FIXED64 else 4
            if kind == LENGTH:
                size, place = _varint(data, place)
            end = place + size
            if end > len(data):
                raise WireError("a field is longer than what is there")
            value = data[place:end] if kind == LENGTH else int.from_bytes(data[place:end], "little")
            place = end
        else:
            raise WireError(f"a field is of the unknown kind {kind}")
        yield field, value


def varints(value: Value) -> list[int]:
    """Returns the whole numbers of a repeated field: several in a row, or one of them that came alone."""
    if isinstance(value, int):
        return [value]
    out, place = [], 0
    while place < len(value):
        number, place = _varint(value, place)
        out.append(number)
    return out


def signed(number: int) -> int:
    """Returns the number of which this is the two's complement."""
    return number - (1 << 64) if number >> 63 else number


def text_of(value: Value) -> str:
    """Returns the text of a field; `WireError` if it is none."""
    try:
        return bytes_of(value).decode()
    except UnicodeDecodeError as fault:
        raise WireError(f"a text is not UTF-8: {fault}") from None


def bytes_of(value: Value) -> bytes:
    """Returns the bytes of a field; `WireError` if it has a number."""
    if isinstance(value, int):
        raise WireError("a number stands where bytes are expected")
    return value


def _varint(data: bytes, place: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if place >= len(data) or shift > 63:
            raise WireError("a number does not end")
        digit = data[place]
        number |= (digit & 0x7F) << shift
        place += 1
        if digit < 0x80:
            return number & _MASK, place
        shift += 7
