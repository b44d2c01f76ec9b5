"""Schemas of plain Python values."""

from __future__ import annotations

import base64
from datetime import date, datetime, time, timezone
from typing import Any

from .abstract import AbstractParameterType

DATE_FORMAT = "%Y-%m-%d"
DATETIME_FORMAT = "%Y-%m-%d %H:%M:%S.%f %z"
TIME_FORMAT = "%H:%M:%S.%f %z"


def describe(value: Any) -> dict[str, Any]:
    """Returns the schema of a value, with the value as its example. Times without a zone are taken as UTC."""
    if isinstance(value, AbstractParameterType):
        return value.input_to_swagger()
    kind = type(value)
    if kind in (list, tuple, range):
        return _array(value)
    if kind is dict:
        return _object(value)
    if kind in (bytes, bytearray):
        return {"type": "string", "format": "byte", "example": base64.b64encode(value).decode()}
    if kind in (datetime, time):
        zoned = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
        name, form = ("date-time", DATETIME_FORMAT) if kind is datetime else ("time", TIME_FORMAT)
        return {"type": "string", "format": name, "example": zoned.strftime(form)}
    if kind is date:
        return {"type": "string", "format": "date", "example": value.strftime(DATE_FORMAT)}
    return {**_SCALARS.get(kind, {"type": "object"}), "example": value}


_SCALARS: dict[type, dict[str, str]] = {
    int: {"type": "integer", "format": "int64"},
    float: {"type": "number", "format": "double"},
    str: {"type": "string"},
    bool: {"type": "boolean"},
}


def _array(values: Any) -> dict[str, Any]:
    items, examples = {"type": "object"}, []
    for value in values:
        items, example = split(describe(value))  # as in the original, the last item speaks for all
        examples.append(example)
    return {"type": "array", "items": items, "example": examples}


def _object(values: dict[str, Any]) -> dict[str, Any]:
    members = {key: split(describe(value)) for key, value in values.items()}
    return {
        "type": "object",
        "required": list(members),
        "properties": {key: schema for key, (schema, _) in members.items()},
        "example": {key: example for key, (_, example) in members.items()},
    }


def split(schema: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Returns a schema without its example, and the example."""
    return {key: value for key, value in schema.items() if key != "example"}, schema["example"]
