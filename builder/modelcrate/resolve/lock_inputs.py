"""What a project asks of the world, in words that a lock can repeat and a person can compare."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modelcrate.project.values import DebianBase, Project
from modelcrate_layers.content import Digest
from modelcrate_layers.errors import SourceError

_INCLUDE = re.compile(r"(?:-r|--requirement|-c|--constraint)[ =]*(\S+)")
_MAX = 4 << 20


def lock_inputs(project: Project, folder: Path, server: tuple[str, ...]) -> dict[str, Any]:
    """`server` are the requirements of the server, which the project does not write down."""
    needs = project.dependencies
    out: dict[str, Any] = {
        "base": str(project.base),
        "platforms": [str(platform) for platform in project.platforms],
        "python": project.python,
        "requirements": [*_requirements(needs.requirements, folder), *server],
    }
    if isinstance(project.base, DebianBase) and project.base.packages:
        out["packages"] = list(project.base.packages)
    if needs.conda is not None:
        out["conda"] = list(needs.conda.packages)  # not the channels, which may be hosts
    if needs.pylock is not None:
        out["pylock"] = str(Digest.of(_read(folder / needs.pylock)))
    return out


def _requirements(needs: Path | tuple[str, ...], folder: Path) -> list[str]:
    return list(needs) if isinstance(needs, tuple) else list(_lines(folder / needs, set()))


def _lines(path: Path, seen: set[Path]) -> Iterator[str]:
    """The lines that mean something, those of included files in their place."""
    if path.resolve() in seen:
        return
    seen.add(path.resolve())
    for line in _read(path).decode("utf-8", "replace").splitlines():
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        if include := _INCLUDE.match(line):
            yield from _lines(path.parent / include[1], seen)
        elif line:
            yield line


def _read(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_MAX)
    except OSError as fault:
        raise SourceError(f"can't be read: {fault.strerror}", where=str(path)) from None
