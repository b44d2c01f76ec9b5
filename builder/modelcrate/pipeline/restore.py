"""Writes the project that an image was made of into a folder: its sources, its lock and its models."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from modelcrate.config import Config
from modelcrate.images.image import Image
from modelcrate.images.reading import Found
from modelcrate.images.sources import UNCHANGED, Sources, blamed_on_sources, require_sources
from modelcrate.pipeline.changed_sources import change, model_label
from modelcrate.pipeline.image_models import layers_of, move_into, place_files, unpacked_model
from modelcrate.pipeline.request import Request, read_request
from modelcrate.project.values import Model, RegisteredModel
from modelcrate.project.writing import project_text
from modelcrate.resolve.lock import FILE_NAME as LOCK_NAME
from modelcrate.resolve.lock import read_lock, write_lock
from modelcrate_layers.atomic import remove, scratch_in
from modelcrate_layers.errors import UserError, placed
from modelcrate_layers.frozen import replace
from modelcrate_layers.store import as_machine_error

LISTED = 16
"""How many sources beside one image an error lists."""

INCOMING = ".modelcrate-incoming-"
"""How the name of the folder begins in which a project is put together, beside or in its place."""


def restore_project(found: Found, folder: Path, config: Config, digest: str = "") -> Path:
    """Writes the project that an image was made of into a folder: its sources, its lock, and those models that were files beside them.

    Registered models and those of hubs stay where they are.

    Args:
        found: The image, or an index of several platforms.
        folder: The folder, which is not there yet, or is empty.
        config: The configuration.
        digest: Which sources are taken where several are beside the image: the digest of their artifact, or how it begins.

    Returns:
        The project file.

    Raises:
        UserError: There is something in the folder, or several sources are beside the image, and the digest does not name one of them.
        SourceError: There are no sources beside the image.
        IntegrityError: The sources are damaged, or name what the image does not have.
    """
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError("is there, and is no empty folder", where=str(folder), hint="name another folder")
    image = found.read().images[0]
    beside = require_sources(found, image)
    sources, real = _chosen(beside, digest, found.collection.where), Path(os.path.realpath(folder))
    with as_machine_error(folder), placed(found.collection.where):
        real.parent.mkdir(parents=True, exist_ok=True)
        with scratch_in(real if real.is_dir() else real.parent, INCOMING) as scratch:
            top = scratch / "project"
            top.mkdir()
            sources.unpack(top, LOCK_NAME)
            with blamed_on_sources(top):
                request = read_request(top / sources.file, replace(config, foreign=True))
                if sources.changes != UNCHANGED:
                    request = _changed(request, sources, image, scratch)
                place_files(request, image, scratch)
            if real.is_dir():
                _move_children(top, real)
            else:
                os.rename(top, real)
    return folder / sources.file


def _changed(request: Request, sources: Sources, image: Image, scratch: Path) -> Request:
    """Writes project and lock with what the image has instead; a model in the place of another one is a file or folder beside them."""
    lock = read_lock(request.folder / LOCK_NAME)
    assert lock is not None, "`unpack` has asked for it"
    before = {model_label(each, lock): each for each in request.project.models}
    project, lock = change(request.project, lock, sources.changes)
    models, pins = list(project.models), list(lock.models)
    for each in sources.changes.models:
        layers = layers_of(image, each.name, each.version)
        place = unpacked_model(each.name, each.version, layers, scratch)
        old = before[each.goes]
        model = Model((old.path.parent if isinstance(old, Model) else Path()) / place.name, each.name, each.version)
        files = tuple(sorted(_sizes(place)))
        move_into(place, request.folder, model)
        models[models.index(RegisteredModel(each.name, each.version))] = model
        pin = next(at for at, pin in enumerate(pins) if (pin.name, pin.version) == (each.name, each.version))
        pins[pin] = replace(pins[pin], files=files)
    project = replace(project, models=tuple(models))
    with as_machine_error(request.folder):
        (request.folder / sources.file).write_text(project_text(project), encoding="utf-8", newline="\n")
    write_lock(request.folder / LOCK_NAME, replace(lock, models=tuple(pins)))
    return replace(request, project=project)


def _sizes(place: Path) -> Iterator[tuple[str, int]]:
    """Yields the files of a model with their sizes, as a lock has them."""
    for each in (place, *place.rglob("*")):
        if each.is_file() and not each.is_symlink():
            yield each.relative_to(place.parent).as_posix(), each.stat().st_size


def _move_children(top: Path, folder: Path) -> None:
    """Moves all that is in a folder into an empty one, or nothing: it may be the current folder, or a mount, and stays."""
    moved: list[Path] = []
    try:
        for each in sorted(top.iterdir()):
            os.rename(each, folder / each.name)
            moved.append(folder / each.name)
    except BaseException:
        for each in moved:
            remove(each)
        raise


def _chosen(beside: Sequence[Sources], digest: str, where: str) -> Sources:
    """Returns the sources that are meant. Nobody has to have signed any of them, so that none of several is taken unasked."""
    fitting = [each for each in beside if digest in ("", str(each.digest)) or _begins(each, digest)]
    if len({(each.file, each.blob.descriptor.digest) for each in fitting}) == 1:
        return fitting[-1]
    listed = "\n".join(f"{each.digest} ({each.blob.descriptor.size} bytes)" for each in beside[-LISTED:])
    what = (
        f"none of the sources beside the image is {digest[:80]!r}" if digest else "several sources are beside the image"
    )
    raise UserError(what, where=where, why=listed, hint="name those that you want: modelcrate sources --digest DIGEST")


def _begins(sources: Sources, digest: str) -> bool:
    return len(digest) >= 8 and str(sources.digest).removeprefix("sha256:").startswith(digest.removeprefix("sha256:"))
