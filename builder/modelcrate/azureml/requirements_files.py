"""Requirements files of pip, with those that they include."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from modelcrate.resolve.requirement_lines import logical_lines
from modelcrate.resolve.requirements import options_of
from modelcrate_layers.errors import UserError


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
    return [each for line in lines for each in _expanded(line.strip(), folder, "the pip part", ())]


def _lines(path: Path, above: tuple[Path, ...]) -> Iterator[str]:
    if path in above:
        raise UserError("requirements files include each other", where=str(path), hint="take one of the -r lines out")
    for line in logical_lines(path):
        yield from _expanded(line.text, path.parent, line.where, (*above, path))


def _expanded(text: str, folder: Path, where: str, above: tuple[Path, ...]) -> Iterator[str]:
    """Yields the line, or those of the files that it includes."""
    options = options_of(text, where) if text.startswith("-") else ()
    included = [value for name, value in options if name in ("-r", "--requirement")]
    for name in included:
        yield from _lines(Path(os.path.abspath(folder / name)), above)
    if not included:
        yield text
