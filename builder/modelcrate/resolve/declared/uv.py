"""Locks of uv: uv exports them itself, for all platforms, without resolving."""

from __future__ import annotations

from pathlib import Path

from modelcrate.project.values import Dependencies
from modelcrate.resolve.declared import Declaration
from modelcrate.resolve.declared.pylock import digest_of
from modelcrate.resolve.declared.toml_files import read_toml
from modelcrate.resolve.requirements import Requirements
from modelcrate.resolve.uv import UvLock


def read(path: Path, needs: Dependencies) -> Declaration:
    """Reads a uv.lock. Its groups are taken where the project names them, `dev` too."""
    requires = read_toml(path).get("requires-python")
    parts = {"extras": list(needs.extras), "groups": list(needs.groups)}
    inputs = {"requirements": [], "pylock": digest_of(path), **{key: names for key, names in parts.items() if names}}
    return Declaration(
        Requirements(uv_lock=UvLock(path, needs.extras, needs.groups)),
        needs.conda,
        requires_python=requires if isinstance(requires, str) else "",
        inputs=inputs,
    )
