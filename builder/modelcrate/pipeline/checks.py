"""Checks of a project's files before anything is fetched or built. All faults are reported at once.

The files must exist, the entry script must be usable, and the gates (`security/scan/`) check pickles, model files and secrets.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from modelcrate.pipeline.variables import refused_variables
from modelcrate.project.values import Model, Project
from modelcrate_layers.errors import CrateError, SourceError, UserError, unreadable
from modelcrate_layers.named_file import open_named_file

MAX_SCRIPT = 16 << 20


def check(project: Project, folder: Path) -> None:
    """Models and requirements are there, and the entry script parses and has `init` and `run`; else one error with all faults."""
    served = project.entry is not None or project.served_by_model
    ours = project.server == "modelcrate"
    variables = refused_variables(project.env, checked_by_server=ours) if served else ()
    faults = [*_leaving(project, folder), *_missing(project, folder), *_entry(project, folder), *variables]
    faults = faults or [*_in_another_case(project, folder)]
    if faults:
        first, *rest = faults
        first.also = tuple(rest)
        raise first


def _leaving(project: Project, folder: Path) -> Iterator[CrateError]:
    """Yields an error for each path that a link leads out of the project. The project file can't show links, so every build checks them.

    An absolute path is not checked: the grammar of the file refuses it, so it comes from a program, which chose it.
    """
    top = os.path.realpath(folder)
    needs, entry = project.dependencies, project.entry
    paths = [model.path for model in project.models if isinstance(model, Model)]
    paths += [path for path in (needs.requirements, needs.pylock) if isinstance(path, Path)]
    if project.command is not None and project.command.source is not None:
        paths.append(project.command.source)
    paths += [entry.file, *([entry.source] if entry.source else [])] if entry else []
    for path in [each for each in paths if not each.is_absolute()]:
        target = os.path.realpath(folder / path)
        if target != top and not target.startswith(top + os.sep):
            yield UserError(
                "is a link that leads out of the project",
                where=str(folder / path),
                hint="copy what it points to into the project",
            )


def _missing(project: Project, folder: Path) -> Iterator[CrateError]:
    for model in project.models:
        if isinstance(model, Model) and not (folder / model.path).exists():
            hint = _near(model.path, folder)
            yield SourceError(f"the model {model.name} is not there", where=str(folder / model.path), hint=hint)
    command = project.command
    if command is not None and command.source is not None and not (folder / command.source).is_dir():
        yield SourceError(
            "is named as the command's sources, and is no folder",
            where=str(folder / command.source),
            hint="`source:` takes a folder; a single file goes into one",
        )
    needs = project.dependencies
    wanted = [path for path in (needs.requirements, needs.pylock, needs.wheelhouse) if isinstance(path, Path)]
    for path in wanted:
        if not (folder / path).exists():
            hint = _near(path, folder)
            yield SourceError("is named in the project, and is not there", where=str(folder / path), hint=hint)


def _in_another_case(project: Project, folder: Path) -> Iterator[CrateError]:
    """Yields an error for each path that only a file system finds for which `Score.py` and `score.py` are one, as macOS's and Windows' are."""
    needs, entry, command = project.dependencies, project.entry, project.command
    named = [model.path for model in project.models if isinstance(model, Model)]
    named += [path for path in (needs.requirements, needs.pylock, needs.wheelhouse) if isinstance(path, Path)]
    named += [entry.file] if entry is not None else []
    named += [command.source] if command is not None and command.source is not None else []
    for path in named:
        if (real := _real_case(folder, path)) is not None:
            yield SourceError(
                f"is called {real} here",
                where=str(folder / path),
                why="this file system takes both for one name, and the container's does not",
                hint=f"write it as it is: {real}",
            )


def _real_case(folder: Path, path: Path) -> Path | None:
    """Returns how a path is written on the disk; None where it is written so, or the file system knows capitals apart."""
    swapped = folder / str(path).swapcase()
    if path.is_absolute() or str(path).swapcase() == str(path) or not swapped.exists():
        return None
    here, real = folder, Path()
    for part in path.parts:
        names = os.listdir(here)
        found = (
            part
            if part in names or part == ".."
            else next((each for each in names if each.lower() == part.lower()), part)
        )
        here, real = here / found, real / found
    return real if real != path else None


def _near(path: Path, folder: Path) -> str:
    """Returns what a missing path may have been meant for: a file of its name elsewhere in the project, or one with a similar name."""
    from difflib import get_close_matches

    from modelcrate.pipeline.detection.detect_files import list_files

    if Path(f"{folder / path}.dvc").is_file():
        return "DVC keeps it; fetch it with `dvc pull`"
    try:
        there = [str(each) for each in list_files(folder)]
    except CrateError:
        there = []
    same = [each for each in there if Path(each).name == path.name]
    if near := (same or get_close_matches(str(path), there, 3, 0.75))[:3]:
        return f"did you mean {' or '.join(near)}?"
    return "paths start at the folder of modelcrate.yaml"


def _entry(project: Project, folder: Path) -> Iterator[CrateError]:
    if project.entry is None:
        return
    path = folder / project.entry.file
    try:
        with open_named_file(path) as script:
            source = script.read(MAX_SCRIPT)
    except OSError as fault:
        hint = _near(project.entry.file, folder)
        yield unreadable(fault, path, "the entry script", hint)
        return
    from modelcrate.project.entry_check import check_entry

    yield from check_entry(
        source, str(project.entry.file), awaits=project.server == "modelcrate", python=project.python
    )
