"""TOML files of other tools, as plain data with checked shapes."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from modelcrate.resolve.requirement_lines import read_text
from modelcrate_layers.errors import UserError

MAX_LOCK = 64 << 20
"""Bytes of a lock file; a large project's has some three million."""


def read_toml(path: Path) -> dict[str, Any]:
    """Reads a TOML file.

    Raises:
        UserError: It is too large, or is not TOML.
        SourceError: It can't be read.
    """
    return parse_toml(read_text(path, MAX_LOCK), path)


def parse_toml(text: str, path: Path) -> dict[str, Any]:
    """Returns the data of a TOML text; `path` is for the message of a UserError."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as fault:
        raise UserError(
            "is not TOML",
            where=str(path),
            why=str(fault)[:300],
            hint="mend the line; TOML has texts in quotes and one assignment a line",
        ) from None


def table(data: Any, *keys: str) -> dict[str, Any]:
    """Returns the table under these keys; empty where there is none."""
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


def items(data: Any, key: str) -> list[Any]:
    """Returns the array under a key; empty where there is none."""
    value = data.get(key) if isinstance(data, dict) else None
    return value if isinstance(value, list) else []


def tables(data: Any, key: str) -> list[dict[str, Any]]:
    """Returns the tables of the array under a key."""
    return [each for each in items(data, key) if isinstance(each, dict)]


def texts(data: Any, key: str) -> list[str]:
    """Returns the texts of the array under a key."""
    return [each for each in items(data, key) if isinstance(each, str)]


def sha256s(files: Iterable[Any]) -> tuple[str, ...]:
    """Returns the SHA-256 hashes of a lock's list of files: `sha256:...`, as a text or under `hash`."""
    found = (str(each.get("hash", "")) if isinstance(each, dict) else str(each) for each in files)
    return tuple(sorted({text.removeprefix("sha256:").lower() for text in found if text.startswith("sha256:")}))
