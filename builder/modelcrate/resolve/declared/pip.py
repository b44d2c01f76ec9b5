"""Requirements files of pip."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from modelcrate.project.values import Dependencies
from modelcrate.resolve.declared import Declaration, refuse_parts
from modelcrate.resolve.requirements import Requirements, read_text

_INCLUDE = re.compile(r"(?:-r|--requirement|-c|--constraint)[ =]*(\S+)")
_PLACE = re.compile(r"(-i|-f|--(extra-)?index-url|--pypi-url|--find-links|--trusted-host|--no-index)\b")


def read(path: Path, needs: Dependencies) -> Declaration:
    """Reads a requirements file."""
    refuse_parts(needs, path)
    return Declaration(Requirements(files=(path,)), needs.conda, inputs={"requirements": [*_lines(path, set())]})


def lines_that_decide(text: str, folder: Path, visited: set[Path] | None = None) -> Iterator[str]:
    """Yields what a line means for a lock: itself, or the lines of the file that it includes.

    Where packages are fetched from is no part of it: a lock names no host, and no password of one.

    Args:
        text: A line of a requirements file.
        folder: Where its paths begin.
        visited: The files that have been read.
    """
    if include := _INCLUDE.match(text):
        yield from _lines(folder / include[1].strip("\"'"), visited if visited is not None else set())
    elif text and not _PLACE.match(text):
        yield re.sub(r"(?<=//)[^/@\s]+@", "", text)


def _lines(path: Path, visited: set[Path]) -> Iterator[str]:
    """Yields the lines of a file that mean something, those of included files in their place."""
    if path.resolve() in visited:
        return
    visited.add(path.resolve())
    for line in read_text(path).splitlines():
        yield from lines_that_decide(re.sub(r"(^|\s)#.*", "", line).strip(), path.parent, visited)
