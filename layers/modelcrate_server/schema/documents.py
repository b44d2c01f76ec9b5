"""What the decorators wrote down about a function, and how to ask for it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

ALL_SUPPORTED_VERSIONS = ("2.0", "3.0", "3.1")
_ATTRIBUTE = "__modelcrate_schema__"


@dataclass
class Schema:
    """Grows while decorators are applied, which is why it isn't frozen."""

    input: dict[str, Any] | None = None
    output: dict[str, Any] | None = None
    input_versions: tuple[str, ...] = ()
    output_versions: tuple[str, ...] = ()
    arguments: list[str] = field(default_factory=list)


def noted(function: Callable[..., Any]) -> Schema:
    """The schema of the innermost function under all decorators; an empty one is attached to it when there is none."""
    innermost = inspect.unwrap(function)
    schema = getattr(innermost, _ATTRIBUTE, None)
    if schema is None:
        schema = Schema(arguments=inspect.getfullargspec(innermost).args)
        setattr(innermost, _ATTRIBUTE, schema)
    return schema


def is_schema_decorated(func: Callable[..., Any]) -> bool:
    """Whether one of the decorators was applied to it."""
    return hasattr(inspect.unwrap(func), _ATTRIBUTE)


def get_input_schema(func: Callable[..., Any]) -> dict[str, Any]:
    """The schema of the JSON object with one member for each argument."""
    return (is_schema_decorated(func) and noted(func).input) or {"type": "object"}


def get_output_schema(func: Callable[..., Any]) -> dict[str, Any]:
    """The schema of what the function returns."""
    return (is_schema_decorated(func) and noted(func).output) or {"type": "object"}


def get_supported_versions(func: Callable[..., Any]) -> list[str]:
    """The document versions in which both schemas can be told; all of them where nothing was said."""
    if not is_schema_decorated(func):
        return list(ALL_SUPPORTED_VERSIONS)
    schema = noted(func)
    said = [set(versions) for versions in (schema.input_versions, schema.output_versions) if versions]
    return sorted(set.intersection(*said)) if said else list(ALL_SUPPORTED_VERSIONS)
