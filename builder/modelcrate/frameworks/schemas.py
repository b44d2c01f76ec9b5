"""JSON schemas of requests and answers: arrays by shape and type, tables by their columns. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Schema = dict[str, Any]

_INTEGERS = {f"{sign}int{size}" for sign in ("", "u") for size in (4, 8, 16, 32, 64)} | {"integer", "long"}
_NUMBERS = {"float16", "bfloat16", "float", "float32", "double", "float64"}
_TEXTS = {"string", "str", "datetime", "binary"}
_BOOLEANS = {"bool", "boolean"}


def item(kind: str) -> Schema:
    """The schema of one value; what has no counterpart in JSON may be anything."""
    if kind in _INTEGERS:
        return {"type": "integer"}
    if kind in _NUMBERS:
        return {"type": "number"}
    if kind in _TEXTS:
        return {"type": "string"}
    return {"type": "boolean"} if kind in _BOOLEANS else {}


def array(kind: str, shape: Sequence[int | str]) -> Schema:
    """Nested arrays; sides that are numbers above zero have that many items."""
    found = item(kind)
    for side in reversed(shape):
        found = {"type": "array", "items": found}
        if isinstance(side, int) and side > 0:
            found |= {"minItems": side, "maxItems": side}
    return found


def mapping(properties: Mapping[str, Schema], required: Sequence[str] = ()) -> Schema:
    """An object with these members."""
    found: Schema = {"type": "object", "properties": dict(properties)}
    return {**found, "required": list(required)} if required else found


def rows(columns: int, kind: str = "double") -> Schema:
    """A list of rows; any number of columns, where that isn't known."""
    return array(kind, ("rows", columns or "columns"))


def table(columns: Sequence[tuple[str, str]]) -> Schema:
    """A table as an object with column names and rows of data (pandas' orient `split`)."""
    names = [name for name, _ in columns]
    data: Schema = {
        "type": "array",
        "items": {"type": "array", "items": {}, "minItems": len(names), "maxItems": len(names)},
    }
    listed = {"type": "array", "items": {"type": "string"}, "example": names}
    return mapping({"columns": listed, "data": data}, ("columns", "data"))
