"""The Dockerfile beside a project that `-o dockerfile:DIR` has written: what was changed in it, as changes of the project."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from modelcrate.project.values import Project
from modelcrate_layers.errors import UserError

LISTING = ".modelcrate-files.json"
"""What we have written into the folder: its files, so that a second time knows what somebody else has added or changed, and the
text of the Dockerfile."""


def apply_dockerfile_edits(project: Project, folder: Path) -> Project:
    """The project with the ENV, LABEL and USER lines that somebody has added or changed.

    Any other change would have to be run by an engine, or says what `modelcrate.yaml` says: a UserError names the line.
    """
    try:
        written = json.loads((folder / LISTING).read_text())["dockerfile"]
        text = (folder / "Dockerfile").read_text(encoding="utf-8")
    except (OSError, ValueError, KeyError, TypeError):
        return project
    before = {line for _, line in instructions(str(written))}
    now = {line: number for number, line in instructions(text)}
    gone = sorted(line for line in before if line not in now and line.split()[0] not in ("ENV", "LABEL", "USER"))
    if gone:
        raise _refused(folder, 1, f"this line is gone: {gone[0][:80]}")
    for line, number in now.items():
        if line not in before:
            project = _with(project, line, number, folder)
    return project


def _with(project: Project, line: str, number: int, folder: Path) -> Project:
    word, _, rest = line.partition(" ")
    match word.upper():
        case "ENV":
            return replace(project, env={**project.env, **pairs(rest, number)})
        case "LABEL":
            return replace(project, labels={**project.labels, **pairs(rest, number)})
        case "USER":
            return replace(project, user=rest.strip())
    raise _refused(folder, number, f"this line was added: {line[:80]}")


def _refused(folder: Path, number: int, why: str) -> UserError:
    return UserError(
        "the Dockerfile was changed in a way that takes an engine",
        where=f"{folder / 'Dockerfile'}:{number}",
        why=why,
        hint="build it with one (docker build, buildah bud), or say it in modelcrate.yaml; ENV, LABEL and USER are understood",
    )


def instructions(text: str) -> Iterator[tuple[int, str]]:
    """The instructions with the numbers of their lines; comments are left out, continued lines are one."""
    held, began = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("#") or not (stripped or held):
            continue
        began = began or number
        if stripped.endswith("\\"):
            held += stripped[:-1].rstrip() + " "
            continue
        if held + stripped:
            yield began, (held + stripped).strip()
        held, began = "", 0
    if held:
        yield began, held.strip()


def pairs(rest: str, number: int) -> dict[str, str]:
    """`A=1 B="two words"`, or the old form `A one value`."""
    try:
        words = shlex.split(rest)
    except ValueError as fault:
        raise UserError(f"can't be read: {fault}", where=f"Dockerfile:{number}") from None
    if words and all("=" in word for word in words):
        return dict(word.partition("=")[::2] for word in words)
    name, _, value = rest.strip().partition(" ")
    return {name: value.strip()}
