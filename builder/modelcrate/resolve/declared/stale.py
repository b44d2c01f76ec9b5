"""Whether a lock is older than the project that it was made for: a package that the project names, and the lock has nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from modelcrate.resolve.declared import line_of
from modelcrate.resolve.declared.toml_files import parse_toml, table, texts
from modelcrate.resolve.requirement_lines import read_text
from modelcrate_layers.errors import UserError


def refuse_stale(lock: Path, locked: Iterable[str], again: str) -> None:
    """Refuses a lock that lacks a package which the pyproject.toml beside it requires in any case.

    A lock is taken as it is, so nothing else would bring the package. What a marker limits may rightly be in no lock.

    Args:
        lock: The lock file.
        locked: The names of all its packages.
        again: The command that makes it anew.

    Raises:
        UserError: It lacks one; it names the first.
    """
    beside = lock.with_name("pyproject.toml")
    if not beside.is_file():
        return
    text = read_text(beside)
    data = parse_toml(text, beside)
    known = {*locked, str(table(data, "project").get("name", ""))}
    known |= {*texts(table(data, "tool", "uv"), "exclude-dependencies")}
    for name in _missing(_required(data), known):
        raise _stale(lock, name, beside, text, again)


def refuse_stale_pipfile(lock: Path, locked: Iterable[str], again: str) -> None:
    """Does the same for a Pipfile and its lock, whose section `default` has these packages."""
    beside = lock.with_name("Pipfile")
    if not beside.is_file():
        return
    text = read_text(beside)
    wanted = table(parse_toml(text, beside), "packages")
    plain = [
        name
        for name, value in wanted.items()
        if not isinstance(value, dict) or value.keys() <= {"version", "extras", "index"}
    ]
    for name in _missing(plain, locked):
        raise _stale(lock, name, beside, text, again)


def _missing(names: Iterable[str], known: Iterable[str]) -> Iterator[str]:
    """Yields the names that are not among the known ones, in whatever spelling."""
    from packaging.utils import canonicalize_name

    there = set(map(canonicalize_name, known))
    return (name for name in names if canonicalize_name(name) not in there)


def _stale(lock: Path, name: str, beside: Path, text: str, again: str) -> UserError:
    return UserError(
        f"has no {name}, which {beside.name} requires",
        where=str(lock),
        why=f"{line_of(beside, text, name)}: the lock is older than this line, and it is taken as it is",
        hint=f"make it anew: {again}",
    )


def _required(data: Mapping[str, Any]) -> Iterator[str]:
    """Yields the names that are required without a marker: those of [project], else Poetry's own."""
    from packaging.requirements import InvalidRequirement, Requirement

    project = table(data, "project")
    for line in texts(project, "dependencies"):
        try:
            requirement = Requirement(line)
        except InvalidRequirement:  # whoever reads the lines themselves tells it
            continue
        if requirement.marker is None:
            yield requirement.name
    if "dependencies" in project:
        return
    for name, value in table(data, "tool", "poetry", "dependencies").items():
        limited = isinstance(value, list) or (
            isinstance(value, dict) and value.keys() & {"markers", "python", "optional"}
        )
        if name != "python" and not limited:
            yield name
