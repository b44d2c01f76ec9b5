"""The messages of the Open Inference Protocol over gRPC, from and to the documents of its REST form.

https://github.com/kserve/open-inference-protocol, specification/protocol/open_inference_grpc.proto; the numbers are those of its fields.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .binary_tensors import packed as packed_elements
from .binary_tensors import unpacked
from .request import HttpError
from .tensors import DATATYPES
from .wire import (
    Value,
    WireError,
    bytes_of,
    fields,
    packed,
    part,
    signed,
    text,
    text_of,
    varints,
    whole,
)

_CONTENTS = {
    1: ("BOOL",), 2: ("INT8", "INT16", "INT32"), 3: ("INT64",), 4: ("UINT8", "UINT16", "UINT32"), 5: ("UINT64",),
    6: ("FP32",), 7: ("FP64",), 8: ("BYTES",),
}  # fmt: skip
"""Fields of InferTensorContents, and the datatypes whose elements they have."""


def model_named(body: bytes) -> tuple[str, str | None]:
    """Returns name and version of the model in a request; the version is None where it is empty.

    Raises:
        HttpError: 400, it is no message with them.
    """
    try:
        found = {field: text_of(value) for field, value in fields(body) if field in (1, 2)}
    except WireError as fault:
        raise HttpError(400, f"The body is no message: {fault}") from None
    return found.get(1, ""), found.get(2) or None


def infer_request(body: bytes) -> dict[str, Any]:
    """Returns a ModelInferRequest as the document of a REST request, the data of its inputs as lists.

    Raises:
        HttpError: 400, it is no such message, or its parts contradict each other.
    """
    try:
        return _infer_request(body)
    except (WireError, struct.error) as fault:
        raise HttpError(400, f"The body is no ModelInferRequest: {fault}") from None


def _infer_request(body: bytes) -> dict[str, Any]:
    document: dict[str, Any] = {"parameters": {}, "inputs": [], "outputs": []}
    raw: list[bytes] = []
    for field, value in fields(body):
        if field == 3:
            document["id"] = text_of(value)
        elif field == 4:
            document["parameters"].update([_parameter(value)])
        elif field == 5:
            document["inputs"].append(_input(bytes_of(value)))
        elif field == 6:
            document["outputs"].append({"name": _texts(bytes_of(value)).get(1, "")})
        elif field == 7:
            raw.append(bytes_of(value))
    inputs = document["inputs"]
    if raw and len(raw) != len(inputs):
        raise HttpError(400, f"There are {len(raw)} raw_input_contents for {len(inputs)} inputs")
    for tensor, data in zip(inputs, raw):
        if tensor["data"]:
            raise HttpError(400, "An input has its data both in contents and in raw_input_contents")
        if tensor["datatype"] in DATATYPES:
            tensor["data"] = unpacked(data, tensor["datatype"], tensor["name"])
    return document


def infer_response(name: str, version: str, own_id: str, outputs: Sequence[Mapping[str, Any]]) -> bytes:
    """Returns a ModelInferResponse. All elements are in `raw_output_contents`, which has room for every datatype."""
    head = text(1, name) + text(2, version) + text(3, own_id)
    tensors = b"".join(part(5, _tensor(each)) for each in outputs)
    return head + tensors + b"".join(part(6, packed_elements(each["data"], each["datatype"])) for each in outputs)


def model_metadata(document: Mapping[str, Any]) -> bytes:
    """Returns a ModelMetadataResponse."""
    out = text(1, document["name"]) + b"".join(text(2, each) for each in document["versions"])
    out += text(3, document["platform"])
    out += b"".join(part(4, _tensor(each)) for each in document["inputs"])
    return out + b"".join(part(5, _tensor(each)) for each in document["outputs"])


def server_metadata(name: str, version: str) -> bytes:
    """Returns a ServerMetadataResponse."""
    return text(1, name) + text(2, version)


def yes() -> bytes:
    """Returns a message whose only field is true: ServerLiveResponse, ServerReadyResponse and ModelReadyResponse."""
    return whole(1, True)


def _tensor(tensor: Mapping[str, Any]) -> bytes:
    return text(1, tensor["name"]) + text(2, tensor["datatype"]) + packed(3, tensor["shape"])


def _texts(message: bytes) -> dict[int, str]:
    return {field: text_of(value) for field, value in fields(message) if field == 1}


def _input(message: bytes) -> dict[str, Any]:
    tensor: dict[str, Any] = {"name": "", "datatype": "", "shape": [], "data": []}
    contents = b""
    for field, value in fields(message):
        if field in (1, 2):
            tensor["name" if field == 1 else "datatype"] = text_of(value)
        elif field == 3:
            tensor["shape"] += map(signed, varints(value))
        elif field == 5:
            contents += bytes_of(value)
    for field, value in fields(contents):
        datatypes = _CONTENTS.get(field, ())
        if tensor["datatype"] not in datatypes:
            raise HttpError(400, f"The input {tensor['name']!r} has contents that are not of its datatype")
        tensor["data"] += _ELEMENTS[field](value)
    return tensor


def _parameter(value: Value) -> tuple[str, Any]:
    """Returns an entry of a map of parameters: a name, and a truth value, a number or a text."""
    name, found = "", None
    for field, each in fields(bytes_of(value)):
        if field == 1:
            name = text_of(each)
        elif field == 2:
            for kind, inner in fields(bytes_of(each)):
                read = _PARAMETERS.get(kind)
                found = read(inner) if read is not None else None
    return name, found


def _number(value: Value) -> int:
    if isinstance(value, bytes):
        raise WireError("bytes stand where a number is expected")
    return value


def _floats(datatype: str, size: int) -> Callable[[Value], list[Any]]:
    """Returns a reader of elements of so many bytes: several in a row, or one of them that came alone."""

    def read(value: Value) -> list[Any]:
        if isinstance(value, int) and value >> 8 * size:
            raise WireError("an element is longer than its datatype")
        return unpacked(value.to_bytes(size, "little") if isinstance(value, int) else value, datatype, "contents")

    return read


def _integers(value: Value) -> list[int]:
    return list(map(signed, varints(value)))


_ELEMENTS: Mapping[int, Callable[[Value], list[Any]]] = {
    1: lambda value: list(map(bool, varints(value))),
    2: _integers,
    3: _integers,
    4: varints,
    5: varints,
    6: _floats("FP32", 4),
    7: _floats("FP64", 8),
    8: lambda value: [text_of(value)],
}
_PARAMETERS: Mapping[int, Callable[[Value], Any]] = {
    1: lambda value: bool(_number(value)),
    2: lambda value: signed(_number(value)),
    3: text_of,
    4: lambda value: struct.unpack("<d", _number(value).to_bytes(8, "little"))[0],
    5: _number,
}
