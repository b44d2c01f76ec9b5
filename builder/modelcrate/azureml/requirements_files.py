"""Requirements files of pip, with those that they include."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from modelcrate.resolve.requirements import logical_lines
from modelcrate_layers.errors import UserError

_INCLUDED = re.compile(r"(?:-r|--requirement)[ =]?\s*(\S.*)")


def read_requirements(path: Path) -> list[str]:
    """Returns the lines of a requirements file in any encoding of pip's, without comments, and those of the files that it includes.

    Raises:
        SourceError: A file can't be read.
        UserError: Files include each other.
    """
    return list(_lines(path, ()))


def with_included(lines: Iterable[str], folder: Path) -> list[str]:
    """Returns the lines of a conda file's pip part, with those of the files that they include.

    Args:
        lines: The lines.
        folder: The folder of the conda file, from which its paths start.

    Raises:
        SourceError: A file can't be read.
        UserError: Files include each other.
    """
    found: list[str] = []
    for line in lines:
        included = _INCLUDED.fullmatch(line.strip())
        found += _lines(_inner(folder, included[1]), ()) if included else [line]
    return found


def _lines(path: Path, above: tuple[Path, ...]) -> Iterator[str]:
    if path in above:
        raise UserError("requirements files include each other", where=str(path), hint="take one of the -r lines out")
    for line in logical_lines(path):
        if included := _INCLUDED.fullmatch(line.text):
            yield from _lines(_inner(path.parent, included[1]), (*above, path))
        else:
            yield line.text


def _inner(folder: Path, name: str) -> Path:
    return Path(os.path.abspath(folder / name.strip("\"'")))
