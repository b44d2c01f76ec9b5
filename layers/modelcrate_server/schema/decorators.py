"""The decorators @input_schema and @output_schema."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from .abstract import AbstractParameterType
from .documents import noted

__all__ = ["input_schema", "output_schema"]

Run = Callable[..., Any]


def input_schema(
    param_name: str, param_type: AbstractParameterType, convert_to_provided_type: bool = True, optional: bool = False
) -> Callable[[Run], Run]:
    """Declares the type of one argument. Plain JSON is converted to it, unless that is switched off."""
    _check(param_type)
    described = param_type.input_to_swagger()
    versions = tuple(param_type.supported_versions())

    def decorate(run: Run) -> Run:
        schema = noted(run)
        if schema.input is None:
            blank = dict.fromkeys(schema.arguments, "")
            schema.input = {"type": "object", "properties": {name: {} for name in blank}, "example": blank}
        schema.input["example"][param_name] = described["example"]
        schema.input["properties"][param_name] = {k: v for k, v in described.items() if k != "example"}
        schema.input_versions = versions

        @functools.wraps(run)
        def converting(*args: Any, **kwargs: Any) -> Any:
            if convert_to_provided_type and not _is_prompt(args):
                args, kwargs = _converted(run, param_name, param_type, optional, args, kwargs)
            return run(*args, **kwargs)

        return converting

    return decorate


def output_schema(output_type: AbstractParameterType) -> Callable[[Run], Run]:
    """Declares the type of run()'s result. It is described, and not enforced."""
    _check(output_type)
    described = output_type.input_to_swagger()
    versions = tuple(output_type.supported_versions())

    def decorate(run: Run) -> Run:
        schema = noted(run)
        if schema.output is not None:
            raise TypeError(f"{run.__name__}() has an output schema already")
        schema.output, schema.output_versions = described, versions

        @functools.wraps(run)
        def unchanged(*args: Any, **kwargs: Any) -> Any:
            return run(*args, **kwargs)

        return unchanged

    return decorate


def _converted(
    run: Run, name: str, kind: AbstractParameterType, optional: bool, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if name in kwargs:
        if optional and not kwargs[name]:
            return args, kwargs
        return args, {**kwargs, name: convert(kwargs[name], kind)}
    if optional:
        return args, kwargs
    names = inspect.getfullargspec(inspect.unwrap(run)).args
    if name not in names:
        raise TypeError(f"{run.__name__}() has no argument {name!r}")
    place = names.index(name)
    return (*args[:place], convert(args[place], kind), *args[place + 1 :]), kwargs


def convert(value: Any, kind: AbstractParameterType) -> Any:
    """Converts plain JSON to a type, also inside objects and lists.

    Raises:
        ValueError: It doesn't fit.
    """
    if kind.sample_data_type is dict:
        if not isinstance(value, dict):
            raise ValueError(f"an object is expected; this is {type(value).__name__}")
        nested = getattr(kind, "sample_data_type_map", {})
        return {key: convert(item, nested[key]) if key in nested else item for key, item in value.items()}
    if kind.sample_data_type in (list, tuple):
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"an array is expected; this is {type(value).__name__}")
        items = getattr(kind, "sample_data_type_list", [])
        return [convert(item, items[0]) for item in value] if items else value
    return value if isinstance(value, kind.sample_data_type) else kind.deserialize_input(value)


def _is_prompt(args: tuple[Any, ...]) -> bool:
    """Returns whether this is the input of the ready-made Hugging Face scripts, which convert it themselves, as in the original."""
    return bool(args) and type(args[0]) is dict and set(args[0]) == {"input_string", "parameters"}


def _check(kind: object) -> None:
    if not isinstance(kind, AbstractParameterType):
        raise TypeError(f"a parameter type is expected; this is {type(kind).__name__}")
