"""The files in which a project declares its dependencies: with those that they include, and those that a lock is held to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from modelcrate.project.values import Dependencies
from modelcrate.resolve.declared import is_lock, read_declaration
from modelcrate.resolve.requirements import read_requirements

_BESIDE = ("pyproject.toml", "Pipfile")
"""The files of which another tool's lock was made. A lock that is older than they are is refused."""


def declared_files(needs: Dependencies, folder: Path, environment: Mapping[str, str] | None) -> Iterator[Path]:
    """Yields the files, each of which is there.

    Args:
        needs: The dependencies that the project declares.
        folder: The folder of the project.
        environment: Where `${NAME}` of a file is looked up; None where the files are somebody else's.
    """
    main = needs.pylock or needs.requirements
    if isinstance(main, Path):
        yield folder / main
        if is_lock(main):
            yield from (path for name in _BESIDE if (path := (folder / main).with_name(name)).is_file())
        yield from read_requirements(read_declaration(needs, folder).requirements, environment).files
