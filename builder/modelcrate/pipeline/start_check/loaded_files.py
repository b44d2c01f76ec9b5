"""The files that a script loads whenever it starts, held to what the image has: a wrong path ends the container at its start."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from modelcrate.pipeline.compose import Files, model_folder
from modelcrate.pipeline.start_check.code_findings import Loaded
from modelcrate.pipeline.start_check.loaders import MODELS_FOLDER
from modelcrate.pipeline.start_check.near_modules import NearModules
from modelcrate.pipeline.start_check.script_names import MODEL_DIR
from modelcrate.project.contracts import APP_ROOT
from modelcrate.project.values import Project, RegisteredModel
from modelcrate_layers.errors import UserError
from modelcrate_layers.tar.sources import FileRange
from modelcrate_layers.tar.tree import Entry, Kind, show

SHOWN = 5
"""How many files of a model a message names."""


def lacking_files(
    loaded: Iterable[Loaded], project: Project, folder: Path, files: Files, near: NearModules, start: PurePosixPath
) -> Iterator[UserError]:
    """Yields an error for each file that the image does not have, where that is known.

    Args:
        loaded: The files that are loaded in any case.
        project: The project.
        folder: Its folder.
        files: Its files, as listed.
        near: Where files of the project are looked for.
        start: The folder of the image in which the program starts.
    """
    wanted = dict.fromkeys(loaded)
    if not wanted:
        return
    listed = [each for model in files.by_model for each in model]
    sources = files.entry.sources.entries if files.entry is not None else ()
    there = _with_folders(f"/{show(each.path)}" for each in (*listed, *sources))
    root = PurePosixPath(model_folder(project).get(MODEL_DIR, "/"))
    unread = (
        not project.models or MODEL_DIR in project.env or any(isinstance(each, RegisteredModel) for each in files.named)
    )
    for each in wanted:
        if each.path.parts[:1] == (MODEL_DIR,):
            inside = PurePosixPath(*each.path.parts[1:])
            if not unread and str(root / inside) not in there and ".." not in inside.parts:
                below = [PurePosixPath("/", show(one.path)) for one in listed if one.kind is Kind.FILE]
                yield _lacking_in_model(each, [str(one.relative_to(root)) for one in below if one.is_relative_to(root)])
            continue
        if each.path.parent == MODELS_FOLDER:
            names = [model.name for model in project.models]
            if names and each.path.name not in names and str(start / each.path.name) not in there:
                yield _lacking_name(each, names)
            continue
        place = start / each.path
        if str(place) in there or not place.is_relative_to(APP_ROOT):
            continue
        if (found := near.file(place, each.path)) is not None:
            yield UserError(
                f"loads {found}, which is not at {place} in the image",
                where=each.where,
                hint=_from_model(folder / found, listed, root, near)
                or _from_sources(found, each, _place_of(folder / found, sources) is not None, near),
            )


def _with_folders(paths: Iterable[str]) -> set[str]:
    """Returns absolute paths and the folders above them, as text: a model may have ten thousands of files."""
    found = set(paths)
    new = found
    while new := {path.rpartition("/")[0] or "/" for path in new} - found:
        found |= new
    return found


def _lacking_in_model(each: Loaded, have: list[str]) -> UserError:
    inside = PurePosixPath(*each.path.parts[1:])
    same = [name for name in have if PurePosixPath(name).name == inside.name] or have
    named = ", ".join(same[:SHOWN]) + (f" and {len(same) - SHOWN} more" if len(same) > SHOWN else "")
    return UserError(
        f"loads {inside} below {MODEL_DIR}, where the image has no such file",
        where=each.where,
        why=f"it has there: {named or 'nothing'}",
        hint=f"load os.path.join(os.environ['{MODEL_DIR}'], '{same[0]}')" if len(same) == 1 else "load one of those",
    )


def _lacking_name(each: Loaded, names: list[str]) -> UserError:
    asked = each.path.name
    return UserError(
        f"asks for the model {asked}, and the image has {', '.join(names[:SHOWN])}",
        where=each.where,
        hint=f"name it so: models: [{{path: ..., name: {asked}}}]",
    )


def _place_of(file: Path, entries: Iterable[Entry]) -> PurePosixPath | None:
    """Returns where a file of the project is in the image; None where it does not go along."""
    places = (
        show(each.path) for each in entries if isinstance(each.source, FileRange) and Path(each.source.path) == file
    )
    return next((PurePosixPath("/", each) for each in places), None)


def _from_model(file: Path, models: Iterable[Entry], root: PurePosixPath, near: NearModules) -> str:
    """Returns what to write, so that a file of a model is loaded from where it is in the image; nothing of another file."""
    place = _place_of(file, models)
    if place is None or not place.is_relative_to(root):
        return ""
    stays = near.entry.source is not None and file.is_relative_to(near.folder / near.entry.source)
    more = "; or leave it out of models, for then it stays among the sources" if stays else ""
    return f"load os.path.join(os.environ['{MODEL_DIR}'], '{place.relative_to(root)}'){more}"


def _from_sources(file: Path, each: Loaded, there: bool, near: NearModules) -> str:
    """Returns what to write, so that a file beside the code is loaded from where it is in the image. `there`: it goes along."""
    if not there and each.path.is_absolute():
        return near.way_in(file)
    script = each.where.rpartition(":")[0]
    beside = PurePosixPath(os.path.relpath(file, os.path.dirname(script))).as_posix()
    written = f"write os.path.join(os.path.dirname(os.path.abspath(__file__)), '{beside}')"
    return written if there else f"{written}, and {near.way_in(file)}"
