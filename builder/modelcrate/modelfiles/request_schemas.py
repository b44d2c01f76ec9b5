"""JSON schemas of requests and answers: arrays by shape and type, tables by their columns. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Schema = dict[str, Any]

_INTEGERS = {f"{sign}int{size}": f"{sign}int{size}" for sign in ("", "u") for size in (4, 8, 16, 32, 64)}
_INTEGERS |= {"integer": "int32", "long": "int64"}
_NUMBERS = {"float16": "float16", "bfloat16": "bfloat16", "float32": "float", "float64": "double"}
_NUMBERS |= {"float": "float", "double": "double"}
_TEXTS = {"string", "str", "datetime", "binary"}
_BOOLEANS = {"bool", "boolean"}


def item(kind: str) -> Schema:
    """Returns the schema of one value, with the format that gives its size; any value, where JSON has no counterpart."""
    if kind in _INTEGERS:
        return {"type": "integer", "format": _INTEGERS[kind]}
    if kind in _NUMBERS:
        return {"type": "number", "format": _NUMBERS[kind]}
    if kind in _TEXTS:
        return {"type": "string"}
    return {"type": "boolean"} if kind in _BOOLEANS else {}


def array(kind: str, shape: Sequence[int | str]) -> Schema:
    """Returns the schema of nested arrays. A dimension that is a number above zero has that many items."""
    found = item(kind)
    for side in reversed(shape):
        found = {"type": "array", "items": found}
        if isinstance(side, int) and side > 0:
            found |= {"minItems": side, "maxItems": side}
    return found


def mapping(properties: Mapping[str, Schema], required: Sequence[str] = ()) -> Schema:
    """Returns the schema of an object with these members."""
    found: Schema = {"type": "object", "properties": dict(properties)}
    return {**found, "required": list(required)} if required else found


def rows(columns: int, kind: str = "double") -> Schema:
    """Returns the schema of a list of rows, with any number of columns where it isn't known."""
    return array(kind, ("rows", columns or "columns"))


def table(columns: Mapping[str, str]) -> Schema:
    """Returns the schema of a table as a list of records, which are objects by column name; any columns, where none are known."""
    return {"type": "array", "items": mapping({name: item(kind) for name, kind in columns.items()})}
