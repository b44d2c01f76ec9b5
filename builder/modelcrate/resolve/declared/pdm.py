"""Locks of PDM: pins with hashes. Since PDM 2.11 each package says its groups and its marker (`inherit_metadata`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelcrate.project.values import Dependencies
from modelcrate.resolve.declared import Declaration, refuse_unknown
from modelcrate.resolve.declared.pylock import digest_of
from modelcrate.resolve.declared.stale import refuse_stale
from modelcrate.resolve.declared.toml_files import read_toml, sha256s, table, tables, texts
from modelcrate.resolve.locked import LockedPackage, LockedPackages
from modelcrate.resolve.requirements import Requirements
from modelcrate_layers.errors import UserError

DEFAULT = "default"
_ELSEWHERE = ("git", "hg", "svn", "bzr", "path", "url")


def read(path: Path, needs: Dependencies) -> Declaration:
    """Reads a pdm.lock. Extras of the project are groups there."""
    data = read_toml(path)
    metadata, packages = table(data, "metadata"), tables(data, "package")
    wanted = (*needs.extras, *needs.groups)
    refuse_stale(path, (str(each.get("name", "")) for each in packages), "pdm lock")
    refuse_unknown("extra or group", wanted, [each for each in texts(metadata, "groups") if each != DEFAULT], path)
    if not all("groups" in each for each in packages):
        raise UserError(
            "does not say what each package is for",
            where=str(path),
            hint="lock again with: pdm lock --strategy inherit_metadata",
        )
    groups = {DEFAULT, *wanted}
    kept = [each for each in packages if groups & set(texts(each, "groups"))]
    requires = [str(each.get("requires_python", "")) for each in tables(metadata, "targets")]
    return Declaration(
        Requirements(locked=LockedPackages(str(path), tuple(_package(each, path) for each in kept))),
        needs.conda,
        requires_python=requires[0] if len(requires) == 1 else "",
        inputs={"requirements": [], "pylock": digest_of(path), **({"groups": list(wanted)} if wanted else {})},
    )


def _package(data: Mapping[str, Any], path: Path) -> LockedPackage:
    from packaging.utils import canonicalize_name

    name, version = data.get("name"), data.get("version")
    if not isinstance(name, str) or not isinstance(version, str):
        raise UserError("has a package without a name and a version", where=str(path), hint="make it anew: pdm lock")
    kind = next((key for key in _ELSEWHERE if data.get(key)), "")
    marker = data.get("marker")
    return LockedPackage(
        canonicalize_name(name),
        version,
        sha256s(data.get("files") or ()),
        marker if isinstance(marker, str) else "",
        f"{kind} {data[kind]}" if kind else "",
    )
