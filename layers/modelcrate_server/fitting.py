"""Whether a value fits a JSON schema, as far as descriptions of requests go; other keywords of JSON Schema are passed over. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .described import properties

MAX_DEPTH = 64
KINDS: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "integer": lambda value: not isinstance(value, bool) and (isinstance(value, int) or _is_whole(value)),
}
"""The types of JSON Schema, and whether a value is of them."""


def misfit(value: Any, schema: Mapping[str, Any], place: str = "the input") -> str:
    """Returns where and why a value does not fit a schema; empty if it does.

    Args:
        value: A value of JSON.
        schema: The schema: type, properties, required, additionalProperties, items, and limits of sizes and values.
        place: What the value is called.
    """
    return next(_misfits(value, schema, place, 0), "")


def _misfits(value: Any, schema: Mapping[str, Any], place: str, depth: int) -> Iterator[str]:
    wanted = schema.get("type")
    named = wanted if isinstance(wanted, list) else [wanted]
    kinds = [each for each in named if isinstance(each, str) and each in KINDS]
    if kinds and not any(KINDS[each](value) for each in kinds):
        yield f"{place} should be {' or '.join(map(_named, kinds))}; this is {_kind(value)}"
        return
    if "enum" in schema and isinstance(schema["enum"], list) and value not in schema["enum"]:
        yield f"{place} should be one of {', '.join(map(repr, schema['enum'][:20]))}"
    yield from _out_of_bounds(value, schema, place)
    if depth > MAX_DEPTH:
        return
    if isinstance(value, dict):
        yield from _in_object(value, schema, place, depth)
    items = schema.get("items")
    if isinstance(value, list) and isinstance(items, dict):
        for at, each in enumerate(value):
            yield from _misfits(each, items, f"{place}[{at}]", depth + 1)


def _in_object(value: Mapping[str, Any], schema: Mapping[str, Any], place: str, depth: int) -> Iterator[str]:
    known, needed = properties(schema), schema.get("required")
    for name in needed if isinstance(needed, list) else ():
        if isinstance(name, str) and name not in value:
            yield f"{place} should have the member {name!r}"
    for name, each in value.items():
        if name in known and isinstance(known[name], Mapping):
            yield from _misfits(each, known[name], f"{name!r}" if not depth else f"{place}.{name}", depth + 1)
        elif name not in known and schema.get("additionalProperties") is False:
            yield f"{place} has the unknown member {name[:80]!r}; known are: {', '.join(known)}"


def _out_of_bounds(value: Any, schema: Mapping[str, Any], place: str) -> Iterator[str]:
    if isinstance(value, (list, str)):
        what = (
            ("minItems", "maxItems", "items") if isinstance(value, list) else ("minLength", "maxLength", "characters")
        )
        size, unit = len(value), what[2]
    elif KINDS["number"](value):
        what, size, unit = ("minimum", "maximum", ""), value, ""
    else:
        return
    low, high = schema.get(what[0]), schema.get(what[1])
    if isinstance(low, (int, float)) and size < low:
        yield f"{place} should {'have' if unit else 'be'} at least {low} {unit}".rstrip() + f"; this is {size}"
    if isinstance(high, (int, float)) and size > high:
        yield f"{place} should {'have' if unit else 'be'} at most {high} {unit}".rstrip() + f"; this is {size}"


def _is_whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()


def _named(kind: str) -> str:
    return kind if kind == "null" else f"{'an' if kind[0] in 'aoi' else 'a'} {kind}"


def _kind(value: Any) -> str:
    names = [name for name in ("object", "array", "string", "boolean", "null", "number") if KINDS[name](value)]
    return _named(names[0]) if names else type(value).__name__
