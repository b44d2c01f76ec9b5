"""The schemas that the decorators have noted for a function, and the functions that read them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

ALL_SUPPORTED_VERSIONS = ("2.0", "3.0", "3.1")
_ATTRIBUTE = "__modelcrate_schema__"


@dataclass
class Schema:
    """The schemas of one function. Not frozen, since each decorator adds to it."""

    input: dict[str, Any] | None = None
    output: dict[str, Any] | None = None
    input_versions: tuple[str, ...] = ()
    output_versions: tuple[str, ...] = ()
    arguments: list[str] = field(default_factory=list)


def noted(function: Callable[..., Any]) -> Schema:
    """Returns the schema of the innermost function below all decorators, and attaches an empty one first if it has none."""
    innermost = inspect.unwrap(function)
    schema = getattr(innermost, _ATTRIBUTE, None)
    if schema is None:
        schema = Schema(arguments=inspect.getfullargspec(innermost).args)
        setattr(innermost, _ATTRIBUTE, schema)
    return schema


def is_schema_decorated(func: Callable[..., Any]) -> bool:
    """Returns whether the function has one of the decorators."""
    return hasattr(inspect.unwrap(func), _ATTRIBUTE)


def get_input_schema(func: Callable[..., Any]) -> dict[str, Any]:
    """Returns the schema of a JSON object with a member for each argument."""
    return (is_schema_decorated(func) and noted(func).input) or {"type": "object"}


def get_output_schema(func: Callable[..., Any]) -> dict[str, Any]:
    """Returns the schema of the function's result."""
    return (is_schema_decorated(func) and noted(func).output) or {"type": "object"}


def get_supported_versions(func: Callable[..., Any]) -> list[str]:
    """Returns the document versions that can describe both schemas; all of them without schemas."""
    if not is_schema_decorated(func):
        return list(ALL_SUPPORTED_VERSIONS)
    schema = noted(func)
    versions = [set(versions) for versions in (schema.input_versions, schema.output_versions) if versions]
    return sorted(set.intersection(*versions)) if versions else list(ALL_SUPPORTED_VERSIONS)
