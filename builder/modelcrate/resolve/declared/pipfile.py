"""Locks of Pipenv: pins with hashes, in sections for what they are for (`default`, `develop`, and named ones)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelcrate.project.values import Dependencies
from modelcrate.resolve.declared import Declaration, refuse_unknown
from modelcrate.resolve.declared.pylock import digest_of
from modelcrate.resolve.declared.stale import refuse_stale_pipfile
from modelcrate.resolve.declared.toml_files import read_toml, sha256s, table, tables
from modelcrate.resolve.locked import LockedPackage, LockedPackages
from modelcrate.resolve.requirement_lines import read_text
from modelcrate.resolve.requirements import Requirements
from modelcrate_layers.errors import UserError

_ELSEWHERE = ("git", "hg", "svn", "path", "file", "editable")

_VARIABLES = (
    "os_name",
    "sys_platform",
    "platform_machine",
    "platform_python_implementation",
    "platform_release",
    "platform_system",
    "platform_version",
    "python_version",
    "python_full_version",
    "implementation_name",
    "implementation_version",
)
"""The variables of markers (PEP 508)."""


def read(path: Path, needs: Dependencies) -> Declaration:
    """Reads a Pipfile.lock."""
    try:
        data = json.loads(read_text(path))
    except (ValueError, RecursionError) as fault:
        raise UserError(
            "is not JSON", where=str(path), why=str(fault)[:300], hint="make it anew: pipenv lock"
        ) from None
    if not isinstance(data, dict) or not isinstance(data.get("default"), dict):
        raise UserError(
            "is not a lock of Pipenv: it has no section default", where=str(path), hint="make it anew: pipenv lock"
        )
    if needs.extras:
        raise UserError("has no extras", where=str(path), hint="leave out extras in dependencies")
    refuse_unknown("group", needs.groups, [key for key in data if key not in ("_meta", "default")], path)
    refuse_stale_pipfile(path, data["default"], "pipenv lock")
    beside = path.with_name("Pipfile")
    wanted = read_toml(beside) if beside.is_file() else {}
    packages = tuple(
        _package(name, value, table(wanted, "packages", name), path)
        for section in ("default", *needs.groups)
        for name, value in table(data, section).items()
    )
    requires = table(data, "_meta", "requires")
    python = requires.get("python_version") or requires.get("python_full_version") or ""
    return Declaration(
        Requirements(
            locked=LockedPackages(str(path), packages),
            indexes=tuple(str(each.get("url", "")) for each in tables(table(data, "_meta"), "sources")),
        ),
        needs.conda,
        requires_python=f"=={'.'.join(str(python).split('.')[:2])}.*" if python else "",
        inputs={
            "requirements": [],
            "pylock": digest_of(path),
            **({"groups": list(needs.groups)} if needs.groups else {}),
        },
    )


def _package(name: str, value: Any, wanted: Mapping[str, Any], path: Path) -> LockedPackage:
    from packaging.utils import canonicalize_name

    """Returns a package by its entry, and by what the Pipfile wants.

    One that was not needed on the machine that locked has no version, and only the Pipfile says when it is needed.
    """
    data: Mapping[str, Any] = value if isinstance(value, dict) else {}
    kind = next((key for key in _ELSEWHERE if data.get(key)), "")
    version = str(data.get("version", ""))
    markers = data.get("markers")
    return LockedPackage(
        canonicalize_name(name),
        version.removeprefix("==") if version.startswith("==") else "",
        sha256s(data.get("hashes") or ()),
        markers if isinstance(markers, str) else _markers_of(wanted),
        f"{kind} {data[kind]}" if kind else "",
    )


def _markers_of(wanted: Mapping[str, Any]) -> str:
    """Returns the marker of an entry in a Pipfile, which may have a key for each variable (`sys_platform = "== 'win32'"`)."""
    named = [f"{key} {wanted[key]}" for key in _VARIABLES if isinstance(wanted.get(key), str)]
    whole = wanted.get("markers")
    return " and ".join([*([f"({whole})"] if isinstance(whole, str) else []), *named])
