"""The models of an image, put where the project has them that it was made of."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate.images.image import Image, ImageLayer
from modelcrate.images.sources import check_links
from modelcrate.images.unpack import unpack
from modelcrate.pipeline.changed_sources import pin_of
from modelcrate.pipeline.choose_models import GivenModels
from modelcrate.pipeline.request import Request
from modelcrate.project.values import AnyModel, HubModel, Model, RegisteredModel
from modelcrate.resolve.lock import FILE_NAME as LOCK_NAME
from modelcrate.resolve.lock import ModelPin, read_lock
from modelcrate_layers.errors import CrateError, IntegrityError
from modelcrate_layers.kinds.model import folder as model_folder
from modelcrate_layers.kinds.ready import ReadyLayer
from modelcrate_layers.packages.checked import hash_file
from modelcrate_layers.store import as_machine_error

if TYPE_CHECKING:
    from modelcrate.resolve.hub.folder import HubFolder


def place_files(request: Request, image: Image, scratch: Path) -> None:
    """Puts those models of an image that are files of its project where the project has them."""
    for model in request.project.models:
        if isinstance(model, Model):
            layers = layers_of(image, model.name, model.version)
            move_into(unpacked_model(model.name, model.version, layers, scratch), request.folder, model)
    check_links(request.folder)


def given_models(request: Request, image: Image, scratch: Path) -> GivenModels:
    """Returns the models of an image that its project has in a workspace or in a hub."""
    lock = request.lock or read_lock(request.folder / LOCK_NAME)
    registered: dict[AnyModel, tuple[RegisteredModel, tuple[ReadyLayer, ...]]] = {}
    hub: dict[AnyModel, tuple[Model, HubFolder]] = {}
    for model in request.project.models:
        pin = pin_of(model, lock)
        version = pin.version if pin is not None else model.version or 0
        if isinstance(model, RegisteredModel):
            layers = layers_of(image, model.name, version)
            ready = tuple(ReadyLayer(each.role, each.name, each.layer, each.blob) for each in layers)
            registered[model] = RegisteredModel(model.name, version), ready
        elif isinstance(model, HubModel):
            hub[model] = _hub_model(model, pin, layers_of(image, model.name, version), scratch)
    return GivenModels(registered, hub)


def layers_of(image: Image, name: str, version: int) -> Sequence[ImageLayer]:
    """Returns the layers of a model.

    Raises:
        IntegrityError: The image does not have it.
    """
    label = f"{name}:{version}"
    found = [
        each
        for each in image.layers
        if each.role == "model" and (each.name == label or each.name.startswith(f"{label} "))
    ]
    if not found:
        raise IntegrityError(f"the sources name the model {label[:200]}, which the image does not have")
    return found


def unpacked_model(name: str, version: int, layers: Sequence[ImageLayer], scratch: Path) -> Path:
    """Returns the file or folder of a model, out of its layers."""
    root = scratch / "models" / f"{len(list(scratch.glob('models/*')))}"
    with as_machine_error(root):
        root.mkdir(parents=True)
    unpack([each.blob for each in layers], root)
    inner = root / os.fsdecode(model_folder(name, version))
    tops = list(inner.iterdir()) if inner.is_dir() and not inner.is_symlink() else []
    if len(tops) != 1 or tops[0].is_symlink():
        raise IntegrityError(f"the layers of the model {name[:200]}:{version} have no single file or folder of it")
    return tops[0]


def move_into(place: Path, folder: Path, model: Model) -> None:
    """Moves a model to where its project has it, which has to be in the project's folder."""
    target = folder / model.path
    inside = os.path.realpath(target.parent) + os.sep
    refusal = IntegrityError(f"the sources want the model {model.name[:200]} at {str(model.path)[:200]!r}")
    if not inside.startswith(os.path.realpath(folder) + os.sep):
        raise refusal
    with as_machine_error(target):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise refusal from None
        if not _merged(place, target):
            raise refusal


def _merged(place: Path, target: Path) -> bool:
    """Moves a file or folder to where nothing is, or what is equal; returns whether it could.

    Models share files with the entry, with golden requests and with each other.
    """
    if not os.path.lexists(target):
        os.rename(place, target)
        return True
    if place.is_symlink() or target.is_symlink():
        return place.is_symlink() and target.is_symlink() and os.readlink(place) == os.readlink(target)
    if place.is_dir() and target.is_dir():
        return all(_merged(each, target / each.name) for each in sorted(place.iterdir()))
    return place.is_file() and target.is_file() and filecmp.cmp(place, target, shallow=False)


def _hub_model(
    model: HubModel, pin: ModelPin | None, layers: Sequence[ImageLayer], scratch: Path
) -> tuple[Model, HubFolder]:
    """Returns a model of a hub as a folder, whose files are held to the hashes of the lock."""
    from modelcrate.resolve.hub.folder import HubFolder

    if pin is None or pin.hub is None:
        raise IntegrityError(f"the lock has nothing for the model {model.name[:200]}")
    place = unpacked_model(model.name, model.version, layers, scratch)
    for path, size, sha256 in pin.hub.files:
        if not _holds(place / path, size, sha256):
            raise IntegrityError(f"the image's {path[:200]} of the model {model.name[:200]} is not what was locked")
    files = frozenset(os.path.realpath(each) for each in _files(place))
    return Model(place, model.name, model.version), HubFolder(place, pin.hub, files)


def _files(folder: Path) -> Iterator[Path]:
    return (each for each in folder.rglob("*") if each.is_file() and not each.is_symlink())


def _holds(path: Path, size: int, sha256: str) -> bool:
    try:
        return path.stat().st_size == size and hash_file(path)[1] == sha256
    except (OSError, CrateError):
        return False
