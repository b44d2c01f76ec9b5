"""Locks of Poetry: pins with hashes.

Since lock version 2.1 (Poetry 2) each package says its groups and markers. Before, they follow from the dependencies in the
pyproject.toml beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from modelcrate.project.values import Dependencies
from modelcrate.resolve.declared import Declaration, refuse_unknown
from modelcrate.resolve.declared.poetry_constraints import constraint_lines, specifier
from modelcrate.resolve.declared.pylock import digest_of
from modelcrate.resolve.declared.pyproject import poetry_lines
from modelcrate.resolve.declared.stale import refuse_stale
from modelcrate.resolve.declared.toml_files import read_toml, sha256s, table, tables, texts
from modelcrate.resolve.locked import LockedPackage, LockedPackages
from modelcrate.resolve.requirements import Requirements
from modelcrate_layers.errors import UserError

MAIN = "main"
_INDEXES = frozenset({"", "legacy", "pypi"})


def read(path: Path, needs: Dependencies) -> Declaration:
    """Reads a poetry.lock."""
    data = read_toml(path)
    refuse_unknown("extra", needs.extras, [*table(data, "extras")], path)
    packages = tables(data, "package")
    _take_files_of_metadata(packages, table(data, "metadata", "files"))
    refuse_stale(path, (str(each.get("name", "")) for each in packages), "poetry lock")
    groups = {MAIN, *needs.groups}
    if all("groups" in each for each in packages):
        known = {name for each in packages for name in texts(each, "groups")} - {MAIN}
        refuse_unknown("group", needs.groups, [*known], path)
        kept = [each for each in packages if groups & set(texts(each, "groups"))]
        locked = LockedPackages(str(path), tuple(_package(each, path, groups) for each in kept), extras=needs.extras)
    else:
        beside = path.with_name("pyproject.toml")
        if not beside.is_file():
            what = "does not say what each package is for, and there is no pyproject.toml beside it that would"
            raise UserError(what, where=str(path), hint="put its pyproject.toml there, or lock again with Poetry 2")
        roots = tuple(poetry_lines(beside, needs, locked=True))
        locked = LockedPackages(str(path), tuple(_package(each, path, groups) for each in packages), roots)
    versions = table(data, "metadata").get("python-versions")
    return Declaration(
        Requirements(locked=locked, indexes=_indexes(packages)),
        needs.conda,
        requires_python=specifier(versions) if isinstance(versions, str) else "",
        inputs={
            "requirements": [],
            "pylock": digest_of(path),
            **({"extras": list(needs.extras)} if needs.extras else {}),
            **({"groups": list(needs.groups)} if needs.groups else {}),
        },
    )


def _take_files_of_metadata(packages: Iterable[dict[str, Any]], files: Mapping[str, Any]) -> None:
    """Gives packages the files that a lock of Poetry before 1.3 has in one table for all of them."""
    for each in packages:
        each.setdefault("files", files.get(str(each.get("name")), []))


def _indexes(packages: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Returns the indexes that packages are from."""
    sources = (table(each, "source") for each in packages)
    return tuple(dict.fromkeys(str(each.get("url")) for each in sources if each.get("type") == "legacy"))


def _package(data: Mapping[str, Any], path: Path, groups: set[str]) -> LockedPackage:
    from packaging.utils import canonicalize_name

    name, version = data.get("name"), data.get("version")
    if not isinstance(name, str) or not isinstance(version, str):
        raise UserError("has a package without a name and a version", where=str(path), hint="make it anew: poetry lock")
    source = table(data, "source")
    kind = str(source.get("type", ""))
    dependencies = (
        line
        for key, value in table(data, "dependencies").items()
        for line in constraint_lines(key, value, path, locked=True)
    )
    return LockedPackage(
        canonicalize_name(name),
        version,
        sha256s(data.get("files") or ()),
        _marker(data, groups),
        "" if kind in _INDEXES else f"{kind} {source.get('url', '')}",
        tuple(dependencies),
    )


def _marker(package: Mapping[str, Any], groups: set[str]) -> str:
    """Returns one marker for the wanted groups, any of which is enough. A group that `markers` does not name has none."""
    markers = package.get("markers")
    if not isinstance(markers, dict):
        return markers if isinstance(markers, str) else ""
    wanted = groups & set(texts(package, "groups"))
    if not wanted <= markers.keys():
        return ""
    return " or ".join(f"({markers[group]})" for group in sorted(wanted))
