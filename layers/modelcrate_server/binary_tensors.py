"""Elements of tensors as bytes, as the Open Inference Protocol has them: little-endian, BYTES each after its length in four bytes.

https://github.com/kserve/open-inference-protocol, "binary tensor data extension"; over gRPC the same bytes are `raw_input_contents`.
"""

from __future__ import annotations

import math
import struct
import sys
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from .request import HttpError

_CODES = {
    "INT8": "b", "UINT8": "B", "INT16": "h", "UINT16": "H", "INT32": "i", "UINT32": "I", "INT64": "q", "UINT64": "Q",
    "FP32": "f", "FP64": "d",
}  # fmt: skip
"""Datatypes to the codes of Python's arrays."""


def unpacked(data: bytes, datatype: str, name: str) -> list[Any]:
    """Returns the elements in these bytes.

    Raises:
        HttpError: 400, they are no elements of the datatype.
    """
    try:
        return _texts(data) if datatype == "BYTES" else _numbers(data, datatype)
    except (ValueError, struct.error) as fault:
        raise HttpError(400, f"The bytes of the input {name!r} are no {datatype}: {fault}") from None


def packed(elements: Sequence[Any], datatype: str) -> bytes:
    """Returns elements as bytes. A number that is missing becomes NaN, which only float types have."""
    if datatype == "BYTES":
        texts = [str(each).encode() for each in elements]
        return b"".join(part for text in texts for part in (struct.pack("<I", len(text)), text))
    if datatype == "BOOL":
        return bytes(map(bool, elements))
    if datatype in ("FP16", "BF16", "FP32", "FP64"):
        elements = [math.nan if each is None else each for each in elements]
    if datatype == "FP16":
        return struct.pack(f"<{len(elements)}e", *elements)
    if datatype == "BF16":
        return b"".join(struct.pack("<f", each)[2:] for each in elements)
    return _little(array(_CODES[datatype], elements)).tobytes()


def with_data(document: dict[str, Any], rest: bytes) -> dict[str, Any]:
    """Returns a request with the data of its binary inputs, which follow each other in the rest of the body.

    Raises:
        HttpError: 400, the sizes do not fit the rest, or it has no elements of the datatype.
    """
    inputs = document.get("inputs")
    place, filled = 0, []
    for tensor in inputs if isinstance(inputs, list) else ():
        size = _size(tensor)
        if size is None:
            filled.append(tensor)
            continue
        if "data" in tensor:
            raise HttpError(400, "An input has its data both in the JSON and behind it")
        if place + size > len(rest):
            raise HttpError(400, f"The inputs announce {place + size} bytes, and {len(rest)} follow the JSON")
        datatype, name = str(tensor.get("datatype")), str(tensor.get("name"))
        known = datatype in _CODES or datatype in ("BYTES", "BOOL", "FP16", "BF16")
        data = unpacked(rest[place : place + size], datatype, name) if known else []  # `tensors` refuses the datatype
        filled.append({**tensor, "data": data})
        place += size
    if place < len(rest):
        raise HttpError(400, f"{len(rest) - place} bytes follow the JSON that no input announces")
    return {**document, "inputs": filled} if isinstance(inputs, list) else document


def _size(tensor: object) -> int | None:
    parameters = tensor.get("parameters") if isinstance(tensor, Mapping) else None
    size = parameters.get("binary_data_size") if isinstance(parameters, Mapping) else None
    if size is None:
        return None
    if type(size) is not int or size < 0:
        raise HttpError(400, "'binary_data_size' should be a number of bytes")
    return size


def _texts(data: bytes) -> list[str]:
    texts, place = [], 0
    while place < len(data):
        (length,) = struct.unpack_from("<I", data, place)
        end = place + 4 + length
        if end > len(data):
            raise ValueError("an element is longer than what is there")
        texts.append(data[place + 4 : end].decode())
        place = end
    return texts


def _numbers(data: bytes, datatype: str) -> list[Any]:
    if datatype == "BOOL":
        if not set(data) <= {0, 1}:
            raise ValueError("an element is neither 0 nor 1")
        return list(map(bool, data))
    if datatype in ("FP16", "BF16") and len(data) % 2:
        raise ValueError(f"{len(data)} bytes are no whole number of elements")
    if datatype == "FP16":
        return list(struct.unpack(f"<{len(data) // 2}e", data))
    if datatype == "BF16":
        return [struct.unpack("<f", b"\0\0" + data[at : at + 2])[0] for at in range(0, len(data), 2)]
    elements = array(_CODES[datatype])
    elements.frombytes(data)
    return _little(elements).tolist()


def _little(elements: array[Any]) -> array[Any]:
    if sys.byteorder == "big":
        elements.byteswap()
    return elements
