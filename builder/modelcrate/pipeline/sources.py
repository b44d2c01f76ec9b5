"""The sources of an image, beside it: the project file, the lock, and the user's files that the image was made of.

They are a part of the project's folder, as it is: unpacked, it is a project that `build --locked` takes. Packages are not among them, for the
lock has their hashes; nor are models, which are in the image itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from modelcrate._version import __version__
from modelcrate.config import Config
from modelcrate.images import sources
from modelcrate.images.artifact import Artifact
from modelcrate.images.image import Image
from modelcrate.pipeline.compose import source_name
from modelcrate.pipeline.prepare import Prepared
from modelcrate.project.ignore_rules import NAMES
from modelcrate.project.values import (
    Model,
    Project,
    RegistryBase,
    is_json,
)
from modelcrate.resolve.declared.files import declared_files
from modelcrate.resolve.lock import FILE_NAME as LOCK_NAME
from modelcrate.security.scan.guard import pass_gates
from modelcrate.security.scan.parts import ScanPart
from modelcrate_layers import host
from modelcrate_layers.errors import LockedError, UserError
from modelcrate_layers.kinds.model import ROOT
from modelcrate_layers.tar.codec import NONE
from modelcrate_layers.tar.listing import CLUTTER, list_inside, list_path
from modelcrate_layers.tar.recipe import Recipe, RecipeBlob, fingerprint, measure
from modelcrate_layers.tar.tree import Entry, Tree, directory


def list_sources(prepared: Prepared, config: Config) -> Tree:
    """Returns the files that the sources of an image are. Those that do not go into the image pass the gate for secrets here.

    Raises:
        UserError: A file is not in the project's folder, or there is no project file.
        LockedError: There is no lock of this state of the project.
        SourceError: A file has a secret.
    """
    request, project = prepared.request, prepared.given
    if request.file is None:
        raise UserError("the sources of an image are a project with a file", hint="write one: modelcrate init")
    if prepared.lock is None:
        raise LockedError("the sources of an image need a lock", hint="make one, and build again: modelcrate lock")
    if any(each.dependencies.project for each in project.every):
        raise UserError(
            "the project's own package is no source that a rebuild could take: whoever rebuilds would run its build",
            hint="build its wheel, name the folder of the wheel as wheelhouse, and leave `project: true` out",
        )
    for model in project.models:
        if isinstance(model, Model) and not _place(request.folder / model.path, request.folder):
            raise UserError(
                f"the model {model.name} is the project's folder itself, which the sources are a part of",
                where=str(request.file),
                hint="put the model into a folder of its own",
            )
    more: dict[bytes, Entry] = {}
    for path in dict.fromkeys(_named_files(prepared, request.file, config)):
        more |= {entry.path: entry for entry in _listed(path, request.folder)}
    entries = tuple(more.values())
    pass_gates(project, request.folder, [ScanPart(request.folder, entries, (fingerprint(entries),), False)], config)
    return Tree.of(
        ({entry.path: entry for entry in (*_empty(project, request.folder), *_of_entry(prepared))} | more).values()
    )


def make_sources(images: Sequence[Image], prepared: Prepared, config: Config) -> Iterator[Artifact]:
    """Yields the artifact with the sources of each image. See `list_sources` for what is raised."""
    recipe = Recipe(list_sources(prepared, config), NONE)
    blob = RecipeBlob(recipe, measure(recipe))
    assert prepared.request.file is not None, "`list_sources` refuses a project without one"
    file = prepared.request.file.name
    return (sources.make_sources(each.manifest.descriptor, file, __version__, blob) for each in images)


def _named_files(prepared: Prepared, file: Path, config: Config) -> Iterator[Path]:
    """Yields the files and folders that the build has read beside those of the entry and the models."""
    folder, project = prepared.request.folder, prepared.given
    yield file
    yield folder / LOCK_NAME
    yield from (place / name for place in _tops(project, folder) for name in NAMES if (place / name).exists())
    for each in project.every:
        yield from declared_files(each.dependencies, folder, config.file_variables)
        base = getattr(each.base, "path", None)
        if base is not None and not isinstance(each.base, RegistryBase):
            yield folder / base
    yield from (folder / path for path in project.gates.model_keys)
    for test in project.tests:
        yield from (folder / text for text in (test.request, test.answer) if text is not None and not is_json(text))
    yield from prepared.own


def _empty(project: Project, folder: Path) -> Iterator[Entry]:
    """Yields the wheelhouse, which has to be there, and whose wheels are no sources."""
    houses = (each.dependencies.wheelhouse for each in project.every)
    yield from (directory(_place(folder / each, folder)) for each in dict.fromkeys(houses) if each is not None)


def _tops(project: Project, folder: Path) -> Iterator[Path]:
    """Yields the folders in which ignore files count."""
    yield folder
    source = project.command.source if project.command else project.entry.source if project.entry else None
    if source is not None:
        yield folder / source


def _listed(path: Path, folder: Path) -> tuple[Entry, ...]:
    place = _place(path, folder)
    if not place:
        return list_inside(path, b"", CLUTTER).entries
    return list_path(path, place.rpartition(b"/")[0]).entries


def _place(path: Path, folder: Path) -> bytes:
    """Returns where a file is below the project's folder; empty for the folder itself."""
    below = host.inner_path(os.path.abspath(path), os.path.abspath(folder))
    if below == ".." or below.startswith("../"):
        raise UserError(
            "is not in the project's folder, and the sources of an image are a part of that",
            where=str(path),
            hint="put it there; a base can be pushed to a registry, and named by its reference",
        )
    return b"" if below == "." else os.fsencode(below)


def _of_entry(prepared: Prepared) -> Iterator[Entry]:
    """Yields the files of the entry, at their places in the project's folder."""
    project, made = prepared.given, prepared.files.entry
    if made is None:
        return
    folder = prepared.request.folder
    if project.command is not None and project.command.source is not None:
        source, name = project.command.source, project.command.source.name or project.name
    elif project.entry is not None and project.entry.source is not None:
        source, name = project.entry.source, source_name(project, project.entry)
    elif project.entry is not None:
        source, name = project.entry.script.parent, ""
    else:
        return  # the script was generated for the model, and will be again
    inside = ROOT + b"/" + os.fsencode(name) if name else ROOT
    place = _place(folder / source, folder)
    for entry in made.sources.entries:
        below = entry.path.removeprefix(inside).lstrip(b"/")
        path = b"/".join(filter(None, (place, below)))
        if path:
            yield entry._replace(path=path)
