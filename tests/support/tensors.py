"""ONNX's recorded tensors (TensorProto of onnx.proto), read by hand, so that no library of ONNX's judges itself; and when two are alike."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_TYPES = {
    1: ("float32", "f"),
    2: ("uint8", "B"),
    3: ("int8", "b"),
    4: ("uint16", "H"),
    5: ("int16", "h"),
    6: ("int32", "i"),
    7: ("int64", "q"),
    9: ("bool", "?"),
    10: ("float16", "e"),
    11: ("float64", "d"),
    12: ("uint32", "I"),
    13: ("uint64", "Q"),
}
_LETTERS = dict(_TYPES.values())
_TEXTS = 8

RTOL, ATOL = 1e-3, 1e-7
"""How far two numbers may be apart, as in onnx's own backend tests."""


@dataclass(frozen=True)
class Tensor:
    """`type` is numpy's name, or `str`; `values` are flat. A type that nobody here can hold is `unknown`."""

    type: str
    shape: tuple[int, ...]
    values: tuple[Any, ...]

    def json(self) -> dict[str, Any]:
        """As fixtures/entry_scripts/onnx_models.py takes it."""
        if self.type == "str":
            return {"type": "str", "shape": self.shape, "data": self.values}
        packed = struct.pack(f"<{len(self.values)}{_LETTERS[self.type]}", *self.values)
        return {"type": self.type, "shape": self.shape, "data": base64.b64encode(packed).decode()}

    @classmethod
    def of(cls, told: dict[str, Any]) -> Tensor:
        """What that script gives."""
        shape = tuple(told["shape"])
        if told["type"] == "str":
            return cls("str", shape, tuple(told["data"]))
        return cls(told["type"], shape, _unpacked(told["type"], base64.b64decode(told["data"])))


def alike(one: Tensor, other: Tensor) -> bool:
    """Equal in type and shape, and in values as far as onnx's own tests want it."""
    if (one.type, one.shape, len(one.values)) != (other.type, other.shape, len(other.values)):
        return False
    return all(map(_near if one.type.startswith("float") else lambda a, b: a == b, one.values, other.values))


def _near(one: float, other: float) -> bool:
    if math.isnan(one) or math.isnan(other) or math.isinf(one) or math.isinf(other):
        return one == other or (math.isnan(one) and math.isnan(other))
    return abs(one - other) <= ATOL + RTOL * abs(one)


def read_tensor(data: bytes) -> Tensor:
    """One TensorProto."""
    sides: list[int] = []
    numbers: list[int] = []
    texts: list[bytes] = []
    kind, raw, floats, doubles = 0, b"", b"", b""
    for number, value in _fields(data):
        if number == 1:
            sides += [value] if isinstance(value, int) else _varints(value)
        elif number == 2:
            kind = value
        elif number == 4:
            floats += value
        elif number in (5, 7, 11):
            numbers += [value] if isinstance(value, int) else _varints(value)
        elif number == 6:
            texts.append(value)
        elif number == 9:
            raw = value
        elif number == 10:
            doubles += value
    shape = tuple(sides)
    if kind == _TEXTS:
        return Tensor("str", shape, tuple(text.decode() for text in texts))
    if kind not in _TYPES:
        return Tensor("unknown", shape, ())
    name, letter = _TYPES[kind]
    if raw or floats or doubles:
        return Tensor(name, shape, _unpacked(name, raw or floats or doubles))
    signed = letter in "bhiq"
    plain = [each - (1 << 64) if signed and each >> 63 else each for each in numbers]
    if name == "float16":  # its bits, in int32_data
        return Tensor(name, shape, _unpacked(name, b"".join(struct.pack("<H", each) for each in plain)))
    return Tensor(name, shape, tuple(bool(each) if name == "bool" else each for each in plain))


def _unpacked(name: str, data: bytes) -> tuple[Any, ...]:
    letter = _LETTERS[name]
    return struct.unpack(f"<{len(data) // struct.calcsize(letter)}{letter}", data)


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
        elif wire == 2:
            size, at = _varint(data, at)
            yield number, data[at : at + size]
            at += size
        else:
            width = {1: 8, 5: 4}[wire]
            yield number, data[at : at + width]
            at += width


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _varints(data: bytes) -> list[int]:
    found, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        found.append(value)
    return found
