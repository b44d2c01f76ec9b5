"""The files that a script loads whenever it starts, held to what the image has: a wrong path ends the container at its start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from modelcrate.pipeline.compose import Files, model_folder
from modelcrate.pipeline.start_check.code_findings import Loaded
from modelcrate.pipeline.start_check.near_modules import NearModules
from modelcrate.pipeline.start_check.script_names import MODEL_DIR
from modelcrate.project.contracts import APP_ROOT
from modelcrate.project.values import Project, RegisteredModel
from modelcrate_layers.errors import UserError
from modelcrate_layers.tar.tree import Kind, show

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
        place = start / each.path
        if str(place) in there or not place.is_relative_to(APP_ROOT):
            continue
        if (found := near.file(place, each.path)) is not None:
            yield _lacking_in_sources(each, found, place, near, there)


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


def _lacking_in_sources(
    each: Loaded, found: Path, place: PurePosixPath, near: NearModules, there: set[str]
) -> UserError:
    beside = any(one.startswith(f"{APP_ROOT}/") and one.endswith(f"/{found.name}") for one in there)
    if beside or not each.path.is_absolute():
        hint = f"write os.path.join(os.path.dirname(os.path.abspath(__file__)), '{found.name}')"
        hint += "" if beside else f", and {near.way_in(found)}"
    else:
        hint = near.way_in(found)
    return UserError(
        f"loads {found}, which is not at {place} in the image",
        where=each.where,
        hint=hint,
    )
