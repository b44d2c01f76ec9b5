"""Tensors of the Open Inference Protocol: a name, a shape, a datatype, and the elements in row-major order."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .data import Data
from .predictions import as_json
from .request import HttpError

_INTEGERS = {
    f"{sign}INT{bits}": (0 if sign else -(2 ** (bits - 1)), 2 ** (bits if sign else bits - 1) - 1)
    for sign in ("", "U")
    for bits in (8, 16, 32, 64)
}
_FLOATS = ("FP16", "FP32", "FP64", "BF16")
DATATYPES = ("BOOL", *_INTEGERS, *_FLOATS, "BYTES")
MAX_RANK = 64


def values_of(tensor: object) -> tuple[str, list[Any]]:
    """Returns a tensor's name, and its elements as nested lists.

    Raises:
        HttpError: 400, its parts contradict each other.
    """
    if not isinstance(tensor, dict):
        raise HttpError(400, f"An input should be an object; this is {type(tensor).__name__}")
    name, datatype, shape = tensor.get("name"), tensor.get("datatype"), tensor.get("shape")
    if not isinstance(name, str):
        raise HttpError(400, "An input should have a name")
    if datatype not in DATATYPES:
        raise HttpError(400, f"The input {name!r} should have one of these datatypes: {', '.join(DATATYPES)}")
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise HttpError(400, f"The input {name!r} should have a shape, a list of sizes")
    if not isinstance(tensor.get("data"), list):
        raise HttpError(400, f"The input {name!r} should have its data as a list")
    if not 0 < len(shape) <= MAX_RANK:
        raise HttpError(400, f"The input {name!r} should have from 1 to {MAX_RANK} dimensions")
    flat = list(_elements(tensor["data"]))
    if len(flat) != math.prod(shape):
        raise HttpError(400, f"The input {name!r} has {len(flat)} elements, and its shape is {shape}")
    return name, _nested(_checked(flat, datatype, name), shape)


def data_of(tensors: object, parameters: object) -> Data:
    """Returns all inputs of a request by name."""
    if not isinstance(tensors, list) or not tensors:
        raise HttpError(400, "The body should have a member 'inputs' with a list of tensors")
    named = dict(values_of(tensor) for tensor in tensors)
    if len(named) < len(tensors):
        raise HttpError(400, "Two inputs have the same name")
    return Data(named, parameters if isinstance(parameters, dict) else {})


def tensor_of(name: str, value: Any, datatype: str | None = None) -> dict[str, Any]:
    """Returns a value as a tensor, of this datatype where it fits, else of that of its elements.

    What is not a regular array of numbers, booleans or texts becomes texts, one of JSON for each row.
    """
    datatype = datatype or _of_array(value)
    plain = as_json(value)
    rows = plain if isinstance(plain, list) else [plain]
    shape = _shape(rows)
    flat = list(_elements(rows)) if shape is not None else []
    found = None if shape is None else _datatype(flat)
    if found is None:
        texts = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        return {"name": name, "shape": [len(texts)], "datatype": "BYTES", "data": texts}
    fitting = datatype if datatype and (datatype == found or _widens(found, datatype)) else found
    return {"name": name, "shape": shape, "datatype": fitting, "data": flat}


def _of_array(value: Any) -> str | None:
    """Returns the datatype of a numpy array; None for anything else."""
    dtype = getattr(value, "dtype", None)
    kind, size = getattr(dtype, "kind", ""), getattr(dtype, "itemsize", 0)
    return {"b": "BOOL", "i": f"INT{size * 8}", "u": f"UINT{size * 8}", "f": f"FP{size * 8}"}.get(kind)


def _widens(found: str, wanted: str) -> bool:
    return found in ("INT64", "FP64") and (wanted in _FLOATS or (found == "INT64" and wanted in _INTEGERS))


def _datatype(flat: Sequence[Any]) -> str | None:
    kinds = {type(each) for each in flat}
    if kinds <= {bool}:
        return "BOOL" if kinds else "FP64"
    if kinds <= {int}:
        return "INT64"
    if kinds <= {int, float, type(None)}:
        return "FP64"
    return "BYTES" if kinds <= {str} else None


def _shape(value: Any) -> list[int] | None:
    """Returns the sizes of nested lists; None when they are ragged."""
    if not isinstance(value, list):
        return []
    inner = [_shape(item) for item in value]
    if not all(shape == inner[0] for shape in inner) or (inner and inner[0] is None):
        return None
    return [len(value), *((inner[0] or []) if inner else [])]


def _elements(value: Sequence[Any], depth: int = 0) -> Iterator[Any]:
    if depth > MAX_RANK:
        raise HttpError(400, f"The data has more than {MAX_RANK} dimensions")
    for item in value:
        if isinstance(item, list):
            yield from _elements(item, depth + 1)
        else:
            yield item


def _nested(flat: list[Any], shape: Sequence[int]) -> list[Any]:
    for size in reversed(shape[1:]):
        flat = [flat[at : at + size] for at in range(0, len(flat), size)] if size else [[] for _ in range(shape[0])]
    return flat


def _checked(flat: list[Any], datatype: str, name: str) -> list[Any]:
    """Returns the elements when all have this datatype; numbers of a float type become floats."""
    kinds = set(map(type, flat))
    try:
        if datatype in _FLOATS and kinds <= {int, float}:
            return list(map(float, flat))
    except OverflowError:
        raise HttpError(400, f"The input {name!r} has an element that is no {datatype}: it is too large") from None
    if datatype in _INTEGERS and kinds <= {int}:
        low, high = _INTEGERS[datatype]
        if not flat or (min(flat) >= low and max(flat) <= high):
            return flat
    elif kinds <= {{"BOOL": bool, "BYTES": str}.get(datatype, type(None))} - {type(None)}:
        return flat
    raise HttpError(400, f"The input {name!r} has an element that is no {datatype}")


def described(declared: object) -> list[Mapping[str, Any]]:
    """Returns the tensors that a script's signature declares; entries that are no tensor are left out."""
    found = declared if isinstance(declared, (list, tuple)) else ()
    return [
        {"name": str(each["name"]), "datatype": each["datatype"], "shape": [int(size) for size in each["shape"]]}
        for each in found
        if isinstance(each, dict) and each.get("datatype") in DATATYPES and {"name", "shape"} <= set(each)
    ]
