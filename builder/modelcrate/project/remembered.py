"""A project that was read once, remembered by the digest of its file.

Reading it again would load the YAML and validation libraries (half a second), and nothing in it can have changed.

Written and read are our own value types only, by name and field. What is damaged, or of another version of these types, is
read anew from the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from modelcrate.project import serving, values
from modelcrate_layers.content import Digest, Platform, canonical_json, parse_object
from modelcrate_layers.errors import CrateError

_TYPES: Mapping[str, type[Any]] = {
    kind.__name__: kind
    for kind in (Platform, *vars(values).values(), *vars(serving).values())
    if isinstance(kind, type) and hasattr(kind, "__match_args__")
}
"""The types of values, by name."""

_FIELDS = {name: list(kind.__match_args__) for name, kind in _TYPES.items()}
_SHAPE = str(Digest.of(canonical_json(_FIELDS)))
"""The names of the types and of their fields: another version of them is another shape."""

GRAMMAR = 2
"""Raised when a text of a project file gets another meaning, or is refused."""


def encode(project: values.Project) -> bytes:
    """Returns the project as JSON."""
    return canonical_json({"grammar": GRAMMAR, "project": _plain(project), "shape": _SHAPE})


def decode(data: bytes) -> values.Project | None:
    """Returns the project of JSON that `encode` wrote; None, if it is anything else."""
    try:
        record = parse_object(data)
        fits = (record.get("grammar"), record.get("shape")) == (GRAMMAR, _SHAPE)
        project = _value(record["project"]) if fits else None
    except (CrateError, KeyError, TypeError, ValueError):
        return None
    return project if isinstance(project, values.Project) else None


def _plain(value: Any) -> Any:
    """Returns a value as JSON: a list is a tuple, an object has its type's name under `=`."""
    kind = type(value).__name__
    if kind in _FIELDS:
        return {"=": kind, **{name: _plain(getattr(value, name)) for name in _FIELDS[kind]}}
    if isinstance(value, PurePath):
        return {"=": "Path" if isinstance(value, Path) else "PurePosixPath", "path": value.as_posix()}
    if isinstance(value, datetime):
        return {"=": "datetime", "at": value.isoformat()}
    if isinstance(value, Mapping):
        return {"=": "map", "pairs": [[key, text] for key, text in value.items()]}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _value(plain: Any) -> Any:
    if isinstance(plain, list):
        return tuple(map(_value, plain))
    if not isinstance(plain, dict):
        return plain
    match plain.pop("="):
        case "Path":
            return Path(plain["path"])
        case "PurePosixPath":
            return PurePosixPath(plain["path"])
        case "datetime":
            return datetime.fromisoformat(plain["at"])
        case "map":
            return dict(plain["pairs"])
        case name:
            return _TYPES[name](**{key: _value(each) for key, each in plain.items()})
