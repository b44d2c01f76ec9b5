"""Locks of Pipenv: pins with hashes, in sections for what they are for (`default`, `develop`, and named ones)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelcrate.project.values import Dependencies
from modelcrate.resolve.declared import Declaration, refuse_unknown
from modelcrate.resolve.declared.pylock import digest_of
from modelcrate.resolve.declared.toml_files import sha256s, table
from modelcrate.resolve.locked import LockedPackage, LockedPackages
from modelcrate.resolve.requirements import Requirements, read_text
from modelcrate_layers.errors import UserError

_ELSEWHERE = ("git", "hg", "svn", "path", "file", "editable")


def read(path: Path, needs: Dependencies) -> Declaration:
    """Reads a Pipfile.lock."""
    try:
        data = json.loads(read_text(path))
    except (ValueError, RecursionError) as fault:
        raise UserError("is not JSON", where=str(path), why=str(fault)[:300]) from None
    if not isinstance(data, dict) or not isinstance(data.get("default"), dict):
        raise UserError("is not a lock of Pipenv: it has no section default", where=str(path))
    if needs.extras:
        raise UserError("has no extras", where=str(path), hint="leave out extras in dependencies")
    refuse_unknown("group", needs.groups, [key for key in data if key not in ("_meta", "default")], path)
    packages = tuple(
        _package(name, value, path)
        for section in ("default", *needs.groups)
        for name, value in table(data, section).items()
    )
    requires = table(data, "_meta", "requires")
    python = requires.get("python_version") or requires.get("python_full_version") or ""
    return Declaration(
        Requirements(locked=LockedPackages(str(path), packages)),
        needs.conda,
        requires_python=f"=={'.'.join(str(python).split('.')[:2])}.*" if python else "",
        inputs={
            "requirements": [],
            "pylock": digest_of(path),
            **({"groups": list(needs.groups)} if needs.groups else {}),
        },
    )


def _package(name: str, value: Any, path: Path) -> LockedPackage:
    from packaging.utils import canonicalize_name

    data: Mapping[str, Any] = value if isinstance(value, dict) else {}
    kind = next((key for key in _ELSEWHERE if data.get(key)), "")
    version = str(data.get("version", ""))
    if not version.startswith("==") and not kind:
        raise UserError(f"{name} is not pinned to a version", where=str(path), hint="lock again with: pipenv lock")
    markers = data.get("markers")
    return LockedPackage(
        canonicalize_name(name),
        version.removeprefix("=="),
        sha256s(data.get("hashes") or ()),
        markers if isinstance(markers, str) else "",
        f"{kind} {data[kind]}" if kind else "",
    )
