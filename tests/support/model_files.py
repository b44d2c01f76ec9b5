"""Model files of every format, byte by byte, and as small as they can be."""

from __future__ import annotations

import json
import struct
from typing import Any


def safetensors(header: Any, body: bytes = b"") -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + body


def tensor(start: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def port(name: bytes, sides: list[int | bytes]) -> bytes:
    shape = b"".join(field(1, field(1 if isinstance(side, int) else 2, side)) for side in sides)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))


def onnx(location: bytes = b"") -> bytes:
    outside = field(13, field(1, b"location") + field(2, location)) if location else b""
    weights = field(1, 3) + field(1, 4) + field(2, 1) + field(8, b"w") + field(9, b"\0" * 48) + outside
    packed = field(1, varint(2) + varint(5)) + field(2, 7)
    graph = field(1, field(4, b"MatMul")) + field(5, weights) + field(5, packed)
    graph += field(11, port(b"x", [b"batch", 3])) + field(12, port(b"y", [1, 4]))
    return field(1, 9) + field(2, b"trainer") + field(3, b"1.2") + field(7, graph) + field(8, field(2, 17))


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def gguf(version: int = 3, tensors: int = 1, kind: int = 1) -> bytes:
    pairs = text(b"general.name") + struct.pack("<I", 8) + text(b"tiny")
    pairs += text(b"tokens") + struct.pack("<IIQ", 9, 8, 2) + text(b"a") + text(b"b")
    pairs += text(b"general.count") + struct.pack("<II", 4, 7)
    body = text(b"w") + struct.pack("<IQQIQ", 2, 3, 4, kind, 0)
    head = b"GGUF" + struct.pack("<IQQ", version, tensors, 3) + pairs + body
    return head + bytes(-len(head) % 32 + 3 * 4 * 2)
