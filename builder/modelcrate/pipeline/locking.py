"""The lock beside a project: read where it fits, made anew, and compared with what was built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from modelcrate.config import Config
from modelcrate.events import Emit, Notice
from modelcrate.home.result_cache import ResultCache
from modelcrate.images.image import Image, ImageLayer, Index, image_label
from modelcrate.pipeline import compose
from modelcrate.pipeline.request import Request
from modelcrate.resolve.lock import (
    FILE_NAME,
    Lock,
    ModelPin,
    Pins,
    changed_models,
    differences,
    parse_lock,
    read_lock,
    refuse_differences,
)
from modelcrate.resolve.lock_inputs import lock_inputs
from modelcrate.resolve.world import server_requirements
from modelcrate_layers.content import Digest, canonical_json
from modelcrate_layers.errors import LockedError
from modelcrate_layers.frozen import replace
from modelcrate_layers.tar.codec import of_policy

if TYPE_CHECKING:
    from modelcrate.pipeline.prepare import Prepared

T = TypeVar("T")


def read_fitting_lock(request: Request, files: compose.Files, emit: Emit) -> Lock | None:
    """Returns the lock, if it is of this state of the project, and None if it is not or does not exist.

    Raises:
        LockedError: The request insists on the lock, and the lock is missing or of another state.
    """
    path = request.folder / FILE_NAME
    lock = request.lock or read_lock(path)
    if lock is None:
        if request.locked:
            raise LockedError("there is no lock", where=str(path), hint="make one: modelcrate lock")
        return None
    project, differing = request.project, list(_variants_changed(request, lock))
    if request.variant_name:
        lock = lock.variants.get(request.variant, Lock({}, {}, lock.models, lock.codecs))
    of = f"the variant {request.variant_name}: " if request.variant_name else ""
    now = lock_inputs(project, request.folder, server_requirements(project))
    differing += [f"{of}{each}" for each in differences(now, lock)]
    if request.locked:
        refuse_differences([*differing, *_changed_files(lock, files)])
    elif differing:
        emit(Notice(f"{FILE_NAME} is of another state of this project and is not used; renew it: modelcrate lock"))
        return None
    return lock


def _variants_changed(request: Request, lock: Lock) -> Iterator[str]:
    """Yields how the project's variants differ from those that were locked, where all of them are wanted."""
    now = [each.name for each in request.project.variants]
    if not request.variant and sorted(now) != sorted(lock.variants):
        gone = [f"- {each}" for each in lock.variants if each not in now]
        new = [f"+ {each}" for each in now if each not in lock.variants]
        yield f"variants: {' '.join([*gone, *new])}"


def check_models(prepared: Prepared, models: Sequence[ImageLayer]) -> None:
    """Holds the models that were built to the lock, where the request insists on it.

    Raises:
        LockedError: A model is not the one in the lock.
    """
    if prepared.request.locked and prepared.lock is not None:
        refuse_differences(list(changed_models(prepared.lock, model_pins(prepared.files, models))))


def make_lock(prepared: Prepared, models: Sequence[ImageLayer]) -> Lock:
    """Returns the lock of a prepared project.

    Args:
        prepared: The resolved project.
        models: The layers of its models.
    """
    codecs = {
        str(codec)
        for one in prepared.every
        for each in one.plans[0].layers
        for codec in of_policy(each.policy, deflated=each.kind.materials().deflated)
    }
    world = prepared.world
    variants = {each.request.variant: Lock(each.world.lock_inputs, each.world.pins) for each in prepared.variants}
    return Lock(world.lock_inputs, world.pins, model_pins(prepared.files, models), tuple(sorted(codecs)), variants)


def model_pins(files: compose.Files, models: Sequence[ImageLayer]) -> tuple[ModelPin, ...]:
    """Returns the pins of the models with the diff ids of their layers."""
    ids = iter([layer.layer.diff_id for layer in models])
    return tuple(
        pin if pin.hub is not None else replace(pin, layers=tuple(next(ids) for _ in made))
        for pin, made in zip(files.pins, files.models, strict=True)
    )


def measured_models(files: compose.Files, layers: Sequence[T]) -> Iterator[T]:
    """Yields those of the models' layers that a lock holds to their diff ids: not those of a hub, whose files have hashes."""
    left = iter(layers)
    for made, hub in zip(files.models, files.hub, strict=True):
        own = [next(left) for _ in made]
        yield from own if hub is None else ()


def own_models(prepared: Prepared, layers: Sequence[ImageLayer]) -> tuple[ImageLayer, ...]:
    """Returns the layers that `model_pins` takes, out of those of an image. The base may have models too."""
    found = [layer for layer in layers[len(prepared.plans[0].base) :] if layer.role == "model"]
    return tuple(measured_models(prepared.files, found))


def remember_build(prepared: Prepared, made: Image | Index, config: Config) -> None:
    """Stores the packages that an image was made from, so that a later push can attest it."""
    variants = {each.request.variant: Lock({}, each.world.pins) for each in prepared.variants}
    known = Lock({}, prepared.world.pins, variants=variants)
    _builds(config).put(str(made.digest), canonical_json(known.json()))


def built_pins(digest: Digest, config: Config) -> Mapping[str, Pins]:
    """Returns what an image was made from, by the labels of its images; nothing, if it was not built here."""
    known = _builds(config).get(str(digest))
    if known is None:
        return {}
    lock = parse_lock(known)
    of_variants = {
        image_label(at, name): pins for name, each in lock.variants.items() for at, pins in each.pins.items()
    }
    return {**lock.pins, **of_variants}


def _builds(config: Config) -> ResultCache:
    return ResultCache(config.home / "builds")


def _changed_files(lock: Lock, files: compose.Files) -> Iterator[str]:
    """How the models' names and sizes differ from the lock's. No file is read for it."""
    then = {(model.name, model.version): model.layers for model in lock.models}
    now = [replace(pin, layers=then.get((pin.name, pin.version), ())) for pin in files.pins]
    return changed_models(lock, now)
