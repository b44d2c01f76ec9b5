"""Requirements files of pip."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from modelcrate.project.values import Dependencies
from modelcrate.resolve.declared import Declaration, refuse_parts
from modelcrate.resolve.requirement_lines import read_text
from modelcrate.resolve.requirements import INCLUDES, Requirements, options_of
from modelcrate_layers.errors import SourceError, UserError
from modelcrate_layers.patterns import compile_later

_PLACE = compile_later(r"(-i|-f|--(extra-)?index-url|--pypi-url|--find-links|--trusted-host|--no-index)\b")


def read(path: Path, needs: Dependencies) -> Declaration:
    """Reads a requirements file."""
    refuse_parts(needs, path)
    return Declaration(Requirements(files=(path,)), needs.conda, inputs={"requirements": [*_lines(path, set())]})


def lines_that_decide(text: str, folder: Path, where: str, visited: set[Path] | None = None) -> Iterator[str]:
    """Yields what a line means for a lock: itself, or the lines of the files that it includes.

    Where packages are fetched from is no part of it: a lock names no host, and no password of one.

    Args:
        text: A line of a requirements file.
        folder: Where its paths begin.
        where: The place of the line, for messages.
        visited: The files that have been read.
    """
    visited = visited if visited is not None else set()
    included = _included(text)
    for name in included:
        try:
            yield from _lines(folder / name.removeprefix("file://"), visited)
        except SourceError as fault:
            raise SourceError(fault.what, where=fault.where, why=f"{where} names it") from None
    if text and not included and not _PLACE.match(text):
        yield re.sub(r"(?<=//)[^/@\s]+@", "", text)


def _included(text: str) -> list[str]:
    """Returns the files that a line names. A line that can't be read, and a name with a variable, are left to those who read all."""
    found: list[str] = []
    with suppress(UserError):
        found += (value for name, value in options_of(text, "") if text.startswith("-") and name in INCLUDES)
    return [value for value in found if "://" not in value.removeprefix("file://") and "${" not in value]


def _lines(path: Path, visited: set[Path]) -> Iterator[str]:
    """Yields the lines of a file that mean something, those of included files in their place."""
    if path.resolve() in visited:
        return
    visited.add(path.resolve())
    before = ""
    for number, line in enumerate(read_text(path).splitlines(), 1):
        text = re.sub(r"(^|\s)#.*", "", line).strip()
        if before or (text.startswith(INCLUDES) and text.endswith("\\")):
            before += text.removesuffix("\\")
            if text.endswith("\\"):
                continue
            text, before = before, ""
        yield from lines_that_decide(text, path.parent, f"{path}:{number}", visited)
