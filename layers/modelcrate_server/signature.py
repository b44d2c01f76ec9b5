"""The model's inputs and outputs as tensors: from the script's signature(), its schemas, or the description beside it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from .described import Described, properties
from .entry import Entry, schema_of
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
    """Returns inputs and outputs with name, datatype and shape (-1 for any size); empty where they are not known."""
    if entry.signature is not None:
        try:
            declared = entry.signature()
            return described(declared["inputs"]), described(declared["outputs"])
        except Exception as failure:  # a script's own code: what it does may not end the request
            _log.error("signature() of the entry script failed", exc_info=failure)
            return [], []
    module = schema_of(entry.run)
    if module is None:
        return _of_description(entry.described)
    given = module.get_input_schema(entry.run)
    examples = given.get("example", {})
    inputs = [
        tensor
        for name, schema in given.get("properties", {}).items()
        for tensor in _tensors(name, schema, examples.get(name))
    ]
    answered = module.get_output_schema(entry.run)
    return inputs, list(_tensors("output", answered, answered.get("example")))


def _of_description(description: Described) -> tuple[Tensors, Tensors]:
    """Returns the tensors of the member that has the data, and those of the answer; named values have their own names."""
    inputs = _members({description.member: properties(description.takes).get(description.member, {})})
    return list(inputs), list(_members(properties(description.gives)))


def _members(members: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for name, schema in members.items():
        for inner, each in (properties(schema) or {name: schema}).items():
            yield from _tensors(inner, each, None)


def _tensors(name: str, schema: Mapping[str, Any], example: Any) -> Iterator[Mapping[str, Any]]:
    """Yields a tensor for numbers, texts and arrays of them, and one for each column of a table; nothing for anything else."""
    shape: list[int] = []
    fixed = schema.get("format") == "numpy.ndarray"  # whose shape is enforced, but for the first dimension
    while schema.get("type") == "array":
        size = schema.get("minItems", -1)  # a size, where it is also the most
        own = size if size == schema.get("maxItems") else -1
        shape.append(len(example) if fixed and shape and isinstance(example, list) else own)
        example = example[0] if isinstance(example, list) and example else None
        schema = schema.get("items", {})
    if schema.get("type") == "object" and len(shape) == 1:
        for column, inner in schema.get("properties", {}).items():
            yield from _tensors(column, {"type": "array", "items": inner}, None)
    kinds = schema.get("type", "")
    kind = next((each for each in kinds if each != "null"), "") if isinstance(kinds, list) else kinds
    datatype = _FORMATS.get(str(schema.get("format", ""))) or _TYPES.get(str(kind))
    if datatype is not None:
        yield {"name": name, "datatype": datatype, "shape": shape or [1]}
