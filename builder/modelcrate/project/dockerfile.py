"""The Dockerfile beside a project that `-o dockerfile:DIR` has written: its changed lines, as changes of the project."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from modelcrate.project.values import FILE_NAME, Project
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import replace
from modelcrate_layers.named_file import MAX_NAMED, read_named_file

LISTING = ".modelcrate-files.json"
"""Lists what was written into the folder: its files, so that files that a user has added or changed are noticed, and the Dockerfile's text."""


def is_edited(folder: Path) -> bool:
    """Returns whether the Dockerfile of a folder that `-o dockerfile:DIR` has written was changed since."""
    written = _written(folder)
    return written is not None and _read(folder) not in (None, written)


def edited_project(folder: Path) -> tuple[Project, str]:
    """Returns the project of a folder with the changed ENV, LABEL and USER lines of its Dockerfile, and the text of the listing then.

    Raises:
        UserError: The folder has no such Dockerfile, or another line was changed, which takes an engine to run.
    """
    from modelcrate.project.reading import read_project

    written, text = _written(folder), _read(folder)
    if written is None or text is None:
        raise UserError(
            "is not a folder that -o dockerfile:DIR has written",
            where=str(folder),
            hint="only the Dockerfile of such a folder can be taken over",
        )
    project = _edited(read_project(folder / FILE_NAME), folder, written, text)
    listing = json.loads(read_named_file(folder / LISTING, MAX_NAMED))
    return project, json.dumps({**listing, "dockerfile": text}, indent=1, sort_keys=True) + "\n"


def _written(folder: Path) -> str | None:
    """The text of the Dockerfile as it was written; None in a folder that has none of ours."""
    try:
        return str(json.loads(read_named_file(folder / LISTING, MAX_NAMED))["dockerfile"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read(folder: Path) -> str | None:
    try:
        return read_named_file(folder / "Dockerfile", MAX_NAMED).decode()
    except (OSError, ValueError):
        return None


def _edited(project: Project, folder: Path, written: str, text: str) -> Project:
    before = {line for _, line in instructions(written)}
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
            return replace(project, user=_plain(rest.strip(), number))
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
    import shlex  # only a changed Dockerfile needs it

    try:
        words = [_with_dollars(word) for word in shlex.split(_without_dollars(rest, number))]
    except ValueError as fault:
        hint = "close the quotes; one line has all of an instruction, or ends with a backslash"
        raise UserError(f"can't be read: {fault}", where=f"Dockerfile:{number}", hint=hint) from None
    if words and all("=" in word for word in words):
        return dict(word.partition("=")[::2] for word in words)
    name, _, value = rest.strip().partition(" ")
    return {name: _plain(value.strip(), number)}


def _plain(text: str, number: int) -> str:
    """A value without quotes around it: a backslash stands before what is meant as it is."""
    return _with_dollars(re.sub(r"\\(.)", r"\1", _without_dollars(text, number)))


def _without_dollars(text: str, number: int) -> str:
    r"""Marks each `\$`, which shlex reads otherwise than a Dockerfile. A `$` alone is a variable, which takes an engine to fill in."""
    marked = re.sub(r"\\(.)", lambda found: "\0" if found[1] == "$" else found[0], text)
    if "$" in marked:
        raise UserError(
            f"names a variable: {text[:80]}",
            where=f"Dockerfile:{number}",
            hint="write the value itself; for a dollar sign write \\$",
        )
    return marked


def _with_dollars(text: str) -> str:
    return text.replace("\0", "$")
