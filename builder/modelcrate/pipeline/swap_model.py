"""Gives an image that exists another model: new model layers, and all else as it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelcrate.images.image import MODELCAR, Image, ImageLayer, Index, combine, replaced
from modelcrate.images.image_config import environment
from modelcrate.images.reading import Found
from modelcrate.inspect.golden_requests import GoldenRequest, read_artifacts
from modelcrate.pipeline.request import Request
from modelcrate.pipeline.session import Session
from modelcrate.pipeline.testing import test_image, with_tests
from modelcrate.project.values import Model, Project, RegisteredModel, ScratchBase
from modelcrate_layers.content import Literal, MediaType, canonical_json
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass, replace
from modelcrate_layers.kinds.model import MODELS
from modelcrate_layers.patterns import compile_later

_NAME = compile_later(r"([A-Za-z0-9][A-Za-z0-9._-]*):([0-9]+)")


@dataclass(frozen=True, slots=True)
class Swapped:
    """An image with another model, and how many golden requests it has answered."""

    image: Image | Index
    asked: int


@dataclass(frozen=True, slots=True)
class _Named:
    """A model of an image: its name, its version, and the places of its layers."""

    name: str
    version: int
    first: int
    end: int


def registered_or_path(text: str) -> Path | RegisteredModel:
    """Returns what a text names: a file or folder that is there, or looks like a path, else a registered model, NAME or NAME:VERSION."""
    path = Path(text)
    if path.exists() or "/" in text or text.startswith("."):
        return path
    match = _NAME.fullmatch(text)
    return RegisteredModel(match[1], int(match[2])) if match else RegisteredModel(text)


def swap_model(
    found: Found, model: Path | RegisteredModel, session: Session, name: str = "", workspace: str = "", ask: bool = True
) -> Swapped:
    """Returns an image with another model in the place of one that it has.

    The gates look at the new model as in every build. The golden requests beside the image, if there are any, are asked before it is returned.

    Args:
        found: The image, or an index of several platforms.
        model: A file or folder, which gets the name and the version of the model that goes; or a registered model.
        session: Packs the model; it is open.
        name: The model that goes, where the image has several: NAME, or NAME:VERSION where it has several versions of one.
        workspace: Where the registered model is.
        ask: Whether the golden requests are asked.

    Raises:
        UserError: The image has no model, or several and not one of them is named.
        SourceError: The new model is not there, or does not pass the gates.
        IntegrityError: A golden request is answered otherwise.
        MachineError: This machine can't start the image to ask it.
    """
    images = found.read()
    olds = [_find(image.layers, name) for image in images.images]
    car = _is_car(images.images, model)
    made, new = _pack(model, olds[0], session, workspace, car=car)
    tests = tuple(dict.fromkeys(test for image in images.images for test in read_artifacts(found, image)))
    swapped = [_with(image, old, made, new) for image, old in zip(images.images, olds, strict=True)]
    result: Image | Index = swapped[0] if isinstance(images, Image) else combine(swapped)
    return Swapped(_tested(result, tests, session, ask), len(tests) if ask else 0)


def _tested(image: Image | Index, tests: Sequence[GoldenRequest], session: Session, ask: bool) -> Image | Index:
    if not tests:
        return image
    if ask:
        test_image(image.images, tests, session.config, session.emit)
    beside = with_tests(image, tests)
    assert isinstance(beside, Image | Index), "as it was"
    return beside


def _find(layers: Sequence[ImageLayer], name: str) -> _Named:
    """Returns the model that goes: the one of this name, or of this name and version."""
    found: dict[str, _Named] = {}
    for at, each in enumerate(layers):
        if each.role == "model" and (match := _NAME.match(each.name)) is not None:
            before = found.get(match[0])
            if before is not None and before.end != at:
                raise UserError(
                    f"the layers of the model {match[0]} are not side by side",
                    hint="build the image again, with the new model in the project file",
                )
            first = before.first if before is not None else at
            found[match[0]] = _Named(match[1], int(match[2]), first, at + 1)
    several = len({each.name for each in found.values()}) < len(found)
    names = ", ".join(sorted(found if several else {each.name for each in found.values()}))
    fitting = [each for full, each in found.items() if not name or name in (each.name, full)]
    if len(fitting) == 1:
        return fitting[0]
    if name and not fitting:
        what, hint = f"the image has no model {name[:100]!r}", "name one of these: --name NAME"
    elif name:
        what, hint = f"the image has {len(fitting)} versions of {name}", "say which one goes: --name NAME:VERSION"
    else:
        what = f"the image has {len(found)} models"
        hint = f"say which one goes: --name {'NAME:VERSION' if several else 'NAME'}" if found else ""
    raise UserError(what, why=f"it has {names or 'none that modelcrate has packed'}", hint=hint)


def _is_car(images: Sequence[Image], model: Path | RegisteredModel) -> bool:
    """Returns whether the new layers have to be those of a modelcar, too.

    Raises:
        UserError: Such layers can't be made for the image, or of the model.
    """
    notes = [each.annotations.get(MODELCAR, "") for each in images]
    if not any(notes):
        return False
    several = len({match[0] for each in images[0].layers if (match := _NAME.match(each.name)) and each.role == "model"})
    if notes[0] != "true" or several > 1 or isinstance(model, RegisteredModel):
        raise UserError(
            "the image has models below /models, as KServe wants them, and these can't be swapped",
            why="only the one model of an image with a server can be, for a file or folder",
            hint="build it again, with the new model in the project file",
        )
    return True


def _pack(
    model: Path | RegisteredModel, old: _Named, session: Session, workspace: str, *, car: bool
) -> tuple[tuple[ImageLayer, ...], tuple[str, int]]:
    """Packs the new model as every build does; returns its layers, its name and its version."""
    wanted = Model(model.absolute(), old.name, old.version) if isinstance(model, Path) else model
    project = Project("model", None, (wanted,), base=ScratchBase(), workspace=workspace or None, modelcar=car)
    place = wanted.path.parent if isinstance(wanted, Model) else Path.cwd()
    build = session.build(Request(project, place))
    layers = tuple(each for each in build.receipt.image.images[0].layers if each.role == "model")
    named = _find(layers, "")
    return layers, (named.name, named.version)


def _with(image: Image, old: _Named, layers: tuple[ImageLayer, ...], new: tuple[str, int]) -> Image:
    others = (*image.layers[: old.first], *image.layers[old.end :])
    named = [match[0] for each in others if each.role == "model" and (match := _NAME.match(each.name)) is not None]
    if (full := f"{new[0]}:{new[1]}") in named:
        raise UserError(f"the image has the model {full} already", hint="register it as another version")
    kept = (*image.layers[: old.first], *layers, *image.layers[old.end :])
    config = dict(image.settings)
    config["rootfs"] = {"type": "layers", "diff_ids": [str(each.layer.diff_id) for each in kept]}
    config["history"] = _history(image, old, layers)
    config["config"] = {**(config.get("config") or {}), "Env": _variables(image, old, new)}
    made = Image(image.platform, Literal(canonical_json(config), MediaType.CONFIG), image.manifest, kept)
    return replace(replaced(made, kept), attached=())


def _history(image: Image, old: _Named, layers: Sequence[ImageLayer]) -> list[Any]:
    """Returns the steps with those of the old model replaced; a line for each layer where they are not as many as the layers."""
    steps = image.settings.get("history") or []
    places = [at for at, step in enumerate(steps) if not step.get("empty_layer")]
    if len(places) != len(image.layers):
        return [{"created_by": "layer"}] * (len(image.layers) - (old.end - old.first) + len(layers))
    first, last = places[old.first], places[old.end - 1]
    new = [{**steps[first], "created_by": f"modelcrate: model {each.name}"} for each in layers]
    return [*steps[:first], *new, *steps[last + 1 :]]


def _variables(image: Image, old: _Named, new: tuple[str, int]) -> list[str]:
    """Returns the variables with the new model's folder, name and version in the place of the old one's."""
    root = f"/{MODELS.decode()}"
    changed = {f"{root}/{old.name}/{old.version}": f"{root}/{new[0]}/{new[1]}"}
    own = {"MODELCRATE_MODEL_NAME": (old.name, new[0]), "MODELCRATE_MODEL_VERSION": (str(old.version), str(new[1]))}
    found = environment(image.settings)
    for name, (before, after) in own.items():
        if found.get(name) == before:
            found[name] = after
    return [f"{name}={changed.get(value, value)}" for name, value in found.items()]
