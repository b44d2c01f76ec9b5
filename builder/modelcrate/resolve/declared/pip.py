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


def _lines(path: Path, visited: set[Path]) -> Iterator[str]:
    """Yields the lines that mean something, those of included files in their place.

    Where packages are fetched from is no part of it: a lock names no host, and no password of one.
    """
    if path.resolve() in visited:
        return
    visited.add(path.resolve())
    for line in read_text(path).splitlines():
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        if include := _INCLUDE.match(line):
            yield from _lines(path.parent / include[1].strip("\"'"), visited)
        elif line and not _PLACE.match(line):
            yield re.sub(r"(?<=//)[^/@\s]+@", "", line)
