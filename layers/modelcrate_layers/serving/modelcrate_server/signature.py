"""What a model takes and gives, as tensors: from the script's own `signature()`, else from the schemas of its run()."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from .entry import Entry, schema_of
from .tensors import described

_log = logging.getLogger("azmlinfsrv")
_FORMATS = {
    **{f"{sign}int{bits}": f"{sign}int{bits}".upper() for sign in ("", "u") for bits in (8, 16, 32, 64)},
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
        return [], []
    given = knows.get_input_schema(entry.run)
    examples = given.get("example", {})
    inputs = [
        tensor
        for name, schema in given.get("properties", {}).items()
        for tensor in _tensors(name, schema, examples.get(name))
    ]
    answered = knows.get_output_schema(entry.run)
    return inputs, list(_tensors("output", answered, answered.get("example")))


def _tensors(name: str, schema: Mapping[str, Any], example: Any) -> Iterator[Mapping[str, Any]]:
    """One tensor for numbers and texts and arrays of them, one a column for a table's records; none for what is no tensor."""
    shape: list[int] = []
    fixed = schema.get("format") == "numpy.ndarray"  # whose shape is enforced, but for the first dimension
    while schema.get("type") == "array":
        shape.append(len(example) if fixed and shape and isinstance(example, list) else -1)
        example = example[0] if isinstance(example, list) and example else None
        schema = schema.get("items", {})
    if schema.get("type") == "object" and len(shape) == 1:
        for column, inner in schema.get("properties", {}).items():
            yield from _tensors(column, {"type": "array", "items": inner}, None)
    datatype = _FORMATS.get(str(schema.get("format", ""))) or _TYPES.get(str(schema.get("type", "")))
    if datatype is not None:
        yield {"name": name, "datatype": datatype, "shape": shape or [1]}
