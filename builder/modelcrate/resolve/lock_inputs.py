"""The inputs of a lock, as text that the lock repeats and a person can compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelcrate.project.values import DebianBase, Project
from modelcrate.resolve.declared import read_declaration


def lock_inputs(project: Project, folder: Path, server: tuple[str, ...]) -> dict[str, Any]:
    """Returns the inputs that decide a lock. No host is among them: neither an index nor a channel.

    Args:
        project: The project.
        folder: The folder of the project.
        server: The requirements of the server, which the project does not write down.
    """
    needs = project.dependencies
    out: dict[str, Any] = {
        "base": str(project.base),
        "platforms": [str(platform) for platform in project.platforms],
        "python": project.python,
    }
    if isinstance(project.base, DebianBase) and project.base.packages:
        out["packages"] = list(project.base.packages)
    if isinstance(project.base, DebianBase) and project.base.shell:
        out["shell"] = True
    if needs.conda is not None:
        out["conda"] = list(needs.conda.packages)
    if needs.project:
        out["project"] = True
    if needs.torch:
        out["torch"] = needs.torch
    out |= read_declaration(needs, folder).inputs
    out["requirements"] = [*out["requirements"], *server]
    return out
