"""The arguments of the library, held to their types: what is of another type is an error that names the argument."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from modelcrate_layers.errors import UserError

T = TypeVar("T")


def as_path(name: str, value: object) -> Path:
    """Returns a path.

    Raises:
        UserError: It is neither a text nor a path, or is empty: a variable that was not set is not this folder.
    """
    if isinstance(value, str | os.PathLike) and isinstance(path := os.fspath(value), str) and path and "\0" not in path:
        return Path(path)
    raise _wrong(name, value, "a path: a text that is not empty, or a pathlib.Path")


def as_text(name: str, value: object) -> str:
    """Returns a text.

    Raises:
        UserError: It is something else, or has a null character, which no path or address has.
    """
    if isinstance(value, str) and "\0" not in value:
        return value
    raise _wrong(name, value, "a text")


def as_texts(name: str, value: object) -> tuple[str, ...]:
    """Returns several texts; one alone may stand for itself.

    Raises:
        UserError: They are something else.
    """
    if isinstance(value, str):
        return (as_text(name, value),)
    if isinstance(value, Iterable) and not isinstance(value, Mapping | bytes):
        return tuple(as_text(f"an item of {name}", each) for each in value)
    raise _wrong(name, value, "a text, or a list of texts")


def as_paths(name: str, value: object) -> tuple[Path, ...]:
    """Returns several paths; one alone may stand for itself.

    Raises:
        UserError: They are something else.
    """
    if isinstance(value, Iterable) and not isinstance(value, str | os.PathLike | Mapping | bytes):
        return tuple(as_path(f"an item of {name}", each) for each in value)
    return (as_path(name, value),)


def as_one_of(name: str, value: Any, kind: type[T], words: str) -> T:
    """Returns a value of a type.

    Args:
        name: The argument's name.
        value: What was given.
        kind: The type.
        words: The type in words.

    Raises:
        UserError: It is of another type.
    """
    if isinstance(value, kind):
        return value
    raise _wrong(name, value, words)


def _wrong(name: str, value: object, words: str) -> UserError:
    return UserError(f"{name} is {value!r:.80}, of the type {type(value).__name__}", hint=f"expected {words}")
