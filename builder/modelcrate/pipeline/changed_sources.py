"""The sources of an image that was made of another one: what differs is found, and done to the project and its lock. Pure.

The user's files stay what they are, for they may be in the image as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from modelcrate.images.image import Image
from modelcrate.images.image_config import BASE_DIGEST, BASE_NAME
from modelcrate.images.reference import Reference
from modelcrate.images.sources import Changes, NewBase, NewModel
from modelcrate.project.values import AnyModel, Project, RegisteredModel, RegistryBase
from modelcrate.resolve.lock import Lock, ModelPin, Pins
from modelcrate_layers.content import Digest, Platform
from modelcrate_layers.errors import CrateError, IntegrityError
from modelcrate_layers.frozen import replace


def find_changes(old: Sequence[Image], new: Sequence[Image]) -> Changes:
    """Returns what images have instead of what those have that they were made of, in the same order."""
    first, made = old[0], new[0]
    models = tuple(
        NewModel(goes, *_named(comes), layers)
        for (goes, before), (comes, layers) in zip(_models(first), _models(made), strict=False)
        if (goes, before) != (comes, layers)
    )
    return Changes(_new_base(old, new), models)


def change(project: Project, lock: Lock, changes: Changes) -> tuple[Project, Lock]:
    """Returns a project and its lock with the changes. New models are registered ones: their layers are at hand, and their files are not.

    Raises:
        IntegrityError: The new base is none that a project can name, or the project does not have what was changed.
    """
    if changes.base is not None:
        project, lock = _with_base(project, lock, changes.base)
    for each in changes.models:
        project, lock = _with_model(project, lock, each)
    return project, lock


def pin_of(model: AnyModel, lock: Lock | None) -> ModelPin | None:
    """Returns what pins a model of a project; None where the lock has nothing for it."""
    fitting = (each for each in (lock.models if lock is not None else ()) if each.name == model.name)
    return next((each for each in fitting if model.version in (None, each.version)), None)


def model_label(model: AnyModel, lock: Lock | None) -> str:
    """Returns NAME:VERSION of a model; a version that the project leaves open is the lock's."""
    pin = pin_of(model, lock)
    return f"{model.name}:{pin.version if pin is not None else model.version or 0}"


def _base(image: Image) -> tuple[str, str]:
    notes = image.annotations
    return str(notes.get(BASE_NAME, "")), str(notes.get(BASE_DIGEST, ""))


def _new_base(old: Sequence[Image], new: Sequence[Image]) -> NewBase | None:
    """Returns the base that images have instead; None where all are on the base that they were on.

    It has no digests where no project can name it: where only the lowest layers of a base were taken, and where not all images that were on
    the project's base, its variants among them, are on the same other one.
    """
    pairs = [(_base(before), _base(each)) for before, each in zip(old, new, strict=True)]
    moved = [(before[0], now[0]) for before, now in pairs if before != now]
    if not moved:
        return None
    own, name = pairs[0][0][0], moved[0][1]
    together = all(now[0] == name for before, now in pairs if before[0] == own)
    try:
        Reference.parse(name)
        changed = [image for image, (before, now) in zip(new, pairs, strict=True) if before != now]
        whole = all(each.foreign for image in changed for each in image.layers if each.role == "base")
        fits = whole and together and len(set(moved)) == 1
        return NewBase(name, {str(each.platform): Digest.parse(_base(each)[1]) for each in changed} if fits else {})
    except CrateError:
        return NewBase(name, {})


def _models(image: Image) -> Iterator[tuple[str, tuple[Digest, ...]]]:
    """Yields the models of an image, lowest first: NAME:VERSION, and the diff ids of its layers."""
    found: dict[str, list[Digest]] = {}
    for each in image.layers:
        if each.role == "model":
            found.setdefault(each.name.partition(" ")[0], []).append(each.layer.diff_id)
    return ((label, tuple(layers)) for label, layers in found.items())


def _named(label: str) -> tuple[str, int]:
    name, _, version = label.rpartition(":")
    return name, int(version) if version.isdecimal() else 0


def _with_base(project: Project, lock: Lock, new: NewBase) -> tuple[Project, Lock]:
    if not new.digests:
        raise IntegrityError(
            f"the image was put onto {new.name[:200]} after it was built, and no project can name what it has of that",
            hint="the sources beside it are those of the image before",
        )
    base = RegistryBase(new.name, project.base.interpreter)
    variants = [replace(each, base=base) if each.base == project.base else each for each in project.variants]
    same = [each.name for each in project.variants if each.base == project.base]
    locks = {name: _onto(each, base, new) if name in same else each for name, each in lock.variants.items()}
    return replace(project, base=base, variants=tuple(variants)), replace(_onto(lock, base, new), variants=locks)


def _onto(lock: Lock, base: RegistryBase, new: NewBase) -> Lock:
    inputs = {name: value for name, value in lock.inputs.items() if name not in ("packages", "shell")}
    pins = {name: _pins(each, name, new.digests) for name, each in lock.pins.items()}
    return replace(lock, inputs={**inputs, "base": str(base)}, pins=pins)


def _pins(pins: Pins, platform: str, digests: Mapping[str, Digest]) -> Pins:
    wanted = Platform.parse(platform)
    found = next((each for name, each in digests.items() if wanted.matches(Platform.parse(name).json())), None)
    if found is None:
        raise IntegrityError(f"the sources do not tell the new base for {platform}")
    return replace(pins, base=found, debs=(), base_python=None)


def _with_model(project: Project, lock: Lock, new: NewModel) -> tuple[Project, Lock]:
    labels = [model_label(each, lock) for each in project.models]
    if new.goes not in labels:
        raise IntegrityError(
            f"the sources do not have the model {new.goes[:200]}, in whose place the image has another"
        )
    at = labels.index(new.goes)
    models = (*project.models[:at], RegisteredModel(new.name, new.version), *project.models[at + 1 :])
    pin = ModelPin(new.name, new.version, (), new.layers)
    pins = tuple(pin if f"{each.name}:{each.version}" == new.goes else each for each in lock.models)
    variants = {name: replace(each, models=pins) for name, each in lock.variants.items()}
    return replace(project, models=models), replace(lock, models=pins, variants=variants)
