"""Locks of uv: uv exports them itself, for all platforms, without resolving."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelcrate.project.values import Dependencies
from modelcrate.resolve.declared import Declaration, refuse_unknown
from modelcrate.resolve.declared.pylock import digest_of
from modelcrate.resolve.declared.stale import refuse_stale
from modelcrate.resolve.declared.toml_files import read_toml, table, tables, texts
from modelcrate.resolve.requirements import Requirements
from modelcrate.resolve.uv import UvLock


def read(path: Path, needs: Dependencies) -> Declaration:
    """Reads a uv.lock. Its groups are taken where the project names them, `dev` too."""
    data = read_toml(path)
    refuse_stale(path, (str(each.get("name", "")) for each in tables(data, "package")), "uv lock")
    requires = data.get("requires-python")
    sources = (table(each, "source").get("registry") for each in tables(data, "package"))
    indexes = tuple(dict.fromkeys(each for each in sources if isinstance(each, str) and "://" in each))
    _check_parts(data, needs, path)
    parts = {"extras": list(needs.extras), "groups": list(needs.groups)}
    inputs = {"requirements": [], "pylock": digest_of(path), **{key: names for key, names in parts.items() if names}}
    members = _members(data, needs)
    told = f"{path.name}: of the workspace, {', '.join(members)} is not installed, its dependencies are"
    way = "put its modules into the entry's source folder, or its wheel into a wheelhouse"
    return Declaration(
        Requirements(uv_lock=UvLock(path, needs.extras, needs.groups), indexes=indexes),
        needs.conda,
        requires_python=requires if isinstance(requires, str) else "",
        inputs=inputs,
        notices=(f"{told}; {way}",) if members else (),
    )


def _check_parts(data: Mapping[str, Any], needs: Dependencies, path: Path) -> None:
    """Refuses extras and groups that the lock's own project does not have; what uv says of them names neither."""
    from packaging.utils import canonicalize_name as canonical

    own = next((each for each in tables(data, "package") if _local(each) == "."), None)
    if own is None:
        return
    extras = {*texts(table(own, "metadata"), "provides-extras"), *table(own, "optional-dependencies")}
    groups = {*table(own, "metadata", "requires-dev"), *table(own, "dev-dependencies")}
    refuse_unknown("extra", tuple(map(canonical, needs.extras)), [*map(canonical, extras)], path)
    refuse_unknown("group", tuple(map(canonical, needs.groups)), [*map(canonical, groups)], path)


def _members(data: Mapping[str, Any], needs: Dependencies) -> list[str]:
    """Returns the other members of a workspace that the project depends on: uv exports what they need, and not them."""
    packages = {str(each.get("name")): each for each in tables(data, "package")}
    own = {name: _local(each) for name, each in packages.items()}
    waiting = [(name, True) for name, place in own.items() if place == "."]
    reached: set[str] = set()
    while waiting:
        name, top = waiting.pop()
        if name in reached or name not in packages:
            continue
        reached.add(name)
        each = packages[name]
        wanted = tables(each, "dependencies")
        if top:
            wanted += [line for extra in needs.extras for line in tables(table(each, "optional-dependencies"), extra)]
            wanted += [line for group in needs.groups for line in tables(table(each, "dev-dependencies"), group)]
        waiting += [(str(line.get("name")), False) for line in wanted]
    return sorted(f"{name} ({own[name]})" for name in reached if own[name] not in ("", "."))


def _local(package: Mapping[str, Any]) -> str:
    source = table(package, "source")
    return str(source.get("editable") or source.get("virtual") or "")
