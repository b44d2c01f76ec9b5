"""What a model takes and gives, as tensors: from the script's own `signature()`, else from its schemas or the description beside it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from .described import Described, properties
from .entry import Entry, schema_of
from .inputs import TextInput
from .tensors import described

_log = logging.getLogger("azmlinfsrv")
_FORMATS = {
    **{f"{sign}int{bits}": f"{sign}int{bits}".upper() for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "float16": "FP16",
    "bfloat16": "BF16",
    "float": "FP32",
    "double": "FP64",
}
_TYPES = {"integer": "INT64", "number": "FP64", "boolean": "BOOL", "string": "BYTES"}

Tensors = list[Mapping[str, Any]]


def signature(entry: Entry) -> tuple[Tensors, Tensors]:
    """Inputs and outputs, each with name, datatype and shape (-1 for any size); empty where nothing is said."""
    if entry.signature is not None:
        try:
            told = entry.signature()
            return described(told["inputs"]), described(told["outputs"])
        except Exception as failure:  # a script's own code: what it does may not end the request
            _log.error("signature() of the entry script failed", exc_info=failure)
            return [], []
    knows = schema_of(entry.run)
    if knows is None:
        return _of_description(entry.read.described) if isinstance(entry.read, TextInput) else ([], [])
    given = knows.get_input_schema(entry.run)
    examples = given.get("example", {})
    inputs = [
        tensor
        for name, schema in given.get("properties", {}).items()
        for tensor in _tensors(name, schema, examples.get(name))
    ]
    answered = knows.get_output_schema(entry.run)
    return inputs, list(_tensors("output", answered, answered.get("example")))


def _of_description(told: Described) -> tuple[Tensors, Tensors]:
    """The tensors of the member that has the data, and those of the answer's; named values are tensors of their own names."""
    inputs = _members({told.member: properties(told.takes).get(told.member, {})})
    return list(inputs), list(_members(properties(told.gives)))


def _members(members: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for name, schema in members.items():
        for inner, each in (properties(schema) or {name: schema}).items():
            yield from _tensors(inner, each, None)


def _tensors(name: str, schema: Mapping[str, Any], example: Any) -> Iterator[Mapping[str, Any]]:
    """One tensor for numbers and texts and arrays of them, one a column for a table's records; none for what is no tensor."""
    shape: list[int] = []
    fixed = schema.get("format") == "numpy.ndarray"  # whose shape is enforced, but for the first dimension
    while schema.get("type") == "array":
        told = schema.get("minItems", -1)  # a size, where it is also the most
        own = told if told == schema.get("maxItems") else -1
        shape.append(len(example) if fixed and shape and isinstance(example, list) else own)
        example = example[0] if isinstance(example, list) and example else None
        schema = schema.get("items", {})
    if schema.get("type") == "object" and len(shape) == 1:
        for column, inner in schema.get("properties", {}).items():
            yield from _tensors(column, {"type": "array", "items": inner}, None)
    datatype = _FORMATS.get(str(schema.get("format", ""))) or _TYPES.get(str(schema.get("type", "")))
    if datatype is not None:
        yield {"name": name, "datatype": datatype, "shape": shape or [1]}
