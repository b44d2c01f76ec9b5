"""Numpy arrays as parameter types."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

import numpy as np

from .abstract import AbstractParameterType

_NAMED = {
    **{f"{sign}int{size}": ("integer", f"{sign}int{size}") for sign in ("", "u") for size in (8, 16, 32, 64)},
    "float16": ("number", "float"),
    "float32": ("number", "float"),
    "float64": ("number", "double"),
}
_UNITS = {
    "years": "Y",
    "months": "M",
    "weeks": "W",
    "days": "D",
    "hours": "h",
    "minutes": "m",
    "seconds": "s",
    "milliseconds": "ms",
    "microseconds": "us",
    "nanoseconds": "ns",
    "picoseconds": "ps",
    "femtoseconds": "fs",
    "attoseconds": "as",
}


class NumpyParameterType(AbstractParameterType):
    """An array like the sample.

    Its type and its shape, but for the first dimension, are enforced unless that is switched off.
    """

    def __init__(self, sample_input: Any, enforce_column_type: bool = True, enforce_shape: bool = True) -> None:
        if not isinstance(sample_input, np.ndarray):
            raise TypeError(f"a numpy array is expected as the sample; this is {type(sample_input).__name__}")
        super().__init__(sample_input)
        self.enforce_column_type, self.enforce_shape = enforce_column_type, enforce_shape

    def deserialize_input(self, input_data: Any) -> Any:
        """Converts lists to an array; ValueError when they don't fit."""
        if isinstance(input_data, np.ndarray):
            return input_data
        if not isinstance(input_data, list):
            raise ValueError(f"an array is expected; this is {type(input_data).__name__}")
        if self.enforce_column_type:
            dtype = self.sample_input.dtype
            array = np.array([_item(item, dtype) for item in input_data], dtype=dtype)
        else:
            array = np.array(input_data)
        if self.enforce_shape:
            check_shape(self.sample_input.shape, array.shape)
        return array

    def input_to_swagger(self) -> dict[str, Any]:
        """Returns the schema of the sample."""
        item = _schema(self.sample_input.dtype)
        for _ in self.sample_input.shape[1:]:
            item = {"type": "array", "items": item}
        example = [_plain(value, item) for value in self.sample_input]
        return {"type": "array", "items": item, "example": example, "format": "numpy.ndarray"}


def check_shape(expected: tuple[int, ...], given: tuple[int, ...]) -> None:
    """Compares two shapes from the second dimension on.

    Raises:
        ValueError: They differ.
    """
    if len(given) != len(expected):
        raise ValueError(f"{len(expected)} dimensions are expected; this has {len(given)}, its shape is {given}")
    if given[1:] != expected[1:]:
        raise ValueError(f"the shape (any, {', '.join(map(str, expected[1:]))}) is expected; this has {given}")


def _item(value: Any, dtype: Any) -> Any:
    if dtype.names:
        by_name = type(value) is dict
        return tuple(_item(value[n if by_name else i], dtype[i]) for i, n in enumerate(dtype.names))
    if dtype.kind == "M":
        return np.datetime64(value)
    if dtype.kind == "m":
        amount, _, unit = value.partition(" ")
        if unit.strip().lower() not in _UNITS:
            raise ValueError(f"{value!r} is no time span; one is written like '3 days'")
        return np.timedelta64(int(amount), _UNITS[unit.strip().lower()])
    return value


def _schema(dtype: Any) -> dict[str, Any]:
    if dtype.names:
        return {"type": "object", "properties": {name: _schema(dtype[name]) for name in dtype.names}}
    if dtype.subdtype is not None:
        item, shape = _schema(dtype.subdtype[0]), dtype.subdtype[1]
        for _ in shape:
            item = {"type": "array", "items": item}
        return item
    if dtype.name in _NAMED:
        kind, form = _NAMED[dtype.name]
        return {"type": kind, "format": form}
    by_kind = {
        "b": {"type": "boolean"},
        "O": {"type": "object"},
        "M": {"type": "string", "format": "date-time"},
        "m": {"type": "string", "format": "timedelta"},
        "U": {"type": "string"},
        "S": {"type": "string", "format": "binary"},
        "V": {"type": "string", "format": "binary"},
    }
    if dtype.kind not in by_kind:
        raise TypeError(f"there is no schema for numpy's {dtype.name}")
    return by_kind[dtype.kind]


def _plain(value: Any, schema: dict[str, Any]) -> Any:
    """Returns an item of the sample in the form that JSON has for it."""
    kind, form = schema["type"], schema.get("format")
    if kind == "array":
        return [_plain(item, schema["items"]) for item in value]
    if kind == "object" and "properties" in schema:
        return {name: _plain(value[name], part) for name, part in schema["properties"].items()}
    if kind == "number":
        return float(value)
    if kind == "integer":
        return int(value)
    if form == "date-time":
        return value.astype(datetime).strftime("%Y-%m-%d %H:%M:%S,%f")
    if form == "binary":
        return base64.b64encode(value).decode()
    return str(value)
