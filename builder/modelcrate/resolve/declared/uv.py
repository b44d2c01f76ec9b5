"""Locks of uv: uv exports them itself, for all platforms, without resolving."""

from __future__ import annotations

from pathlib import Path

from modelcrate.project.values import Dependencies
from modelcrate.resolve.declared import Declaration
from modelcrate.resolve.declared.pylock import digest_of
from modelcrate.resolve.declared.toml_files import read_toml, table, tables
from modelcrate.resolve.requirements import Requirements
from modelcrate.resolve.uv import UvLock


def read(path: Path, needs: Dependencies) -> Declaration:
    """Reads a uv.lock. Its groups are taken where the project names them, `dev` too."""
    data = read_toml(path)
    requires = data.get("requires-python")
    sources = (table(each, "source").get("registry") for each in tables(data, "package"))
    indexes = tuple(dict.fromkeys(each for each in sources if isinstance(each, str) and "://" in each))
    parts = {"extras": list(needs.extras), "groups": list(needs.groups)}
    inputs = {"requirements": [], "pylock": digest_of(path), **{key: names for key, names in parts.items() if names}}
    return Declaration(
        Requirements(uv_lock=UvLock(path, needs.extras, needs.groups), indexes=indexes),
        needs.conda,
        requires_python=requires if isinstance(requires, str) else "",
        inputs=inputs,
    )
