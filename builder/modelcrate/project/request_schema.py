"""What an entry script takes and gives, as the project file describes it: JSON schemas, or the columns of a table. Pure.

The keywords are those that the server holds requests to, and notes for people. Any other keyword is refused, for it would hold nothing.
Scalars of a project file are texts; the type beside them decides what they mean.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from modelcrate_server.described import DATA
from modelcrate_server.fitting import KINDS, misfit

MAX_DESCRIPTION = 64 << 10
"""Bytes of a description as JSON: it travels as a variable, which may have twice as many on Linux."""

COUNTS = ("minItems", "maxItems", "minLength", "maxLength")
BOUNDS = ("minimum", "maximum")
NOTES = ("title", "description", "format")
VALUES = ("example", "default")
KEYWORDS = (
    "type",
    "enum",
    "properties",
    "required",
    "additionalProperties",
    "items",
    *COUNTS,
    *BOUNDS,
    *NOTES,
    *VALUES,
)


class SchemaError(ValueError):
    """A schema can't be used; the text says where and why."""


def description_text(takes: Mapping[str, Any], gives: Mapping[str, Any]) -> str:
    """Returns the schemas of a request and of an answer as the JSON that the server reads."""
    named = {"input": takes, "output": gives}
    return json.dumps({name: schema for name, schema in named.items() if schema}, ensure_ascii=False)


def read_request_schema(value: object) -> dict[str, Any]:
    """Returns the JSON schema of a request or an answer.

    Args:
        value: A mapping of the project file, whose scalars are texts.

    Raises:
        SchemaError: It is no such schema, or not that of an object.
    """
    schema = read_schema(value, "the schema")
    if schema.get("type") != "object":
        raise SchemaError("the schema should have type: object: a request and an answer are JSON objects")
    return schema


def read_columns(value: object) -> dict[str, Any]:
    """Returns the JSON schema of a request with rows as objects, all of which have these columns and no others.

    Args:
        value: A mapping of the project file from the name of a column to its type, to several, or to a schema.

    Raises:
        SchemaError: It is none.
    """
    if not isinstance(value, dict) or not value:
        raise SchemaError("columns are a mapping from names to types, such as {age: integer, mass: number}")
    columns = {
        name: read_schema(each if isinstance(each, dict) else {"type": each}, f"the column {name!r}")
        for name, each in value.items()
    }
    row = {"type": "object", "required": list(columns), "additionalProperties": False, "properties": columns}
    rows = {"type": "array", "minItems": 1, "items": row}
    return {"type": "object", "required": [DATA], "additionalProperties": False, "properties": {DATA: rows}}


def read_schema(value: object, place: str) -> dict[str, Any]:
    """Returns a JSON schema with numbers and truth values where they belong.

    Args:
        value: A mapping of the project file, whose scalars are texts.
        place: What it is called in messages.

    Raises:
        SchemaError: A keyword is unknown, or has a wrong value.
    """
    if not isinstance(value, dict):
        raise SchemaError(f"{place} should be a mapping of JSON Schema, such as {{type: number}}")
    for keyword in value:
        if keyword not in KEYWORDS:
            near = difflib.get_close_matches(keyword[:40], KEYWORDS, 1)
            known = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(KEYWORDS)}"
            raise SchemaError(f"{place} has the keyword {keyword[:40]!r}, which is not held; {known}")
    schema = dict(_plain(value, place))
    for keyword, given in schema.items():
        if keyword == "enum":
            if not isinstance(given, list) or not given:
                raise SchemaError(f"{place}: enum is a list of values")
            schema[keyword] = [_meant(each, schema, f"{place}: enum") for each in given]
        elif keyword in VALUES:
            schema[keyword] = _meant(given, schema, f"{place}: {keyword}")
    for keyword in VALUES:
        if keyword in schema and (reason := misfit(schema[keyword], schema)):
            raise SchemaError(f"{place}: its own {keyword} does not fit: {reason}")
    return schema


def _plain(value: Mapping[str, Any], place: str) -> Iterator[tuple[str, Any]]:
    """Yields the keywords with their values; those of enums, examples and defaults as they stand, for they take the types beside them."""
    for keyword, given in value.items():
        where = f"{place}: {keyword}"
        if keyword == "type":
            yield keyword, _types(given, where)
        elif keyword in COUNTS:
            yield keyword, _number(given, where, counts=True)
        elif keyword in BOUNDS:
            yield keyword, _number(given, where, counts=False)
        elif keyword == "additionalProperties":
            yield keyword, _truth(given, where)
        elif keyword == "items":
            yield keyword, read_schema(given, f"{place}, an item")
        elif keyword == "properties":
            if not isinstance(given, dict):
                raise SchemaError(f"{where} is a mapping from names to schemas")
            yield keyword, {name: read_schema(each, f"{place}, {name!r}") for name, each in given.items()}
        elif keyword == "required":
            if not _names(given):
                raise SchemaError(f"{where} is a list of names, each once")
            yield keyword, given
        elif keyword in NOTES and not isinstance(given, str):
            raise SchemaError(f"{where} is a text")
        else:
            yield keyword, given


def _types(given: object, where: str) -> str | list[str]:
    several = given if isinstance(given, list) else [given]
    named: list[Any] = [
        "null" if each is None else each for each in several
    ]  # plain `null` is nothing in a project file
    if not named or not _names(named) or not KINDS.keys() >= set(named):
        raise SchemaError(f"{where} is one of {', '.join(KINDS)}, or a list of them")
    return named if isinstance(given, list) else named[0]


def _names(given: object) -> bool:
    """Returns whether this is a list of texts, each of them once."""
    return isinstance(given, list) and all(isinstance(each, str) for each in given) and len(set(given)) == len(given)


def _number(given: object, where: str, *, counts: bool) -> int | float:
    try:
        number = json.loads(given) if isinstance(given, str) else None
    except ValueError:
        number = None
    if not isinstance(number, int | float) or isinstance(number, bool) or not math.isfinite(number):
        raise SchemaError(f"{where} is a number")
    if counts and not (isinstance(number, int) and number >= 0):
        raise SchemaError(f"{where} is a whole number from 0 on")
    return number


def _truth(given: object, where: str) -> bool:
    if given not in ("true", "false"):
        raise SchemaError(f"{where} is true or false")
    return given == "true"


def _meant(given: Any, schema: Mapping[str, Any], where: str) -> Any:
    """Returns a value of a project file as its schema's types have it."""
    if isinstance(given, dict):
        known = schema.get("properties", {})
        return {name: _meant(each, known.get(name, {}), where) for name, each in given.items()}
    if isinstance(given, list):
        return [_meant(each, schema.get("items", {}), where) for each in given]
    types = schema.get("type", ())
    named = types if isinstance(types, list) else [types]
    if given is None and "null" in named:
        return None
    for kind in ("boolean", "integer", "number"):
        if kind in named and isinstance(given, str):
            try:
                value = json.loads(given)
            except ValueError:
                continue
            if KINDS[kind](value):
                return value
    if "string" in named and isinstance(given, str):
        return given
    raise SchemaError(f"{where} has the value {str(given)[:40]!r}, which is of no type that stands beside it")
