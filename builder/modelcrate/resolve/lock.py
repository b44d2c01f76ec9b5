"""The lock file (modelcrate.lock): all pins of a project. It names no host, so any index, mirror or wheelhouse can serve it. Pure but for reading and writing.

The member `asked` repeats the inputs of the project when it was locked; a project with other inputs needs another lock.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelcrate.resolve.debian.pinned import PinnedDeb
from modelcrate.resolve.pinned import Pinned, PinnedConda, PinnedWheel
from modelcrate_layers.atomic import write_file
from modelcrate_layers.content import Digest, Platform, parse_object
from modelcrate_layers.errors import CrateError, IntegrityError, LockedError
from modelcrate_layers.frozen import dataclass, field, replace
from modelcrate_layers.named_file import read_named_file
from modelcrate_layers.packages.pinned import Package
from modelcrate_layers.store import as_machine_error

if TYPE_CHECKING:
    from modelcrate.resolve.hub_pin import HubPin

FILE_NAME = "modelcrate.lock"
VERSION = 1
_AGAIN = "lock again: modelcrate lock"


@dataclass(frozen=True, slots=True)
class BasePython:
    """What was found in a base of a registry, so that a locked build need not fetch its layers to find it again.

    Attributes:
        interpreter: The absolute path of its Python.
        python: The version of that Python, major and minor.
        glibc: The version of its C library.
        musl: The same where that is musl.
        lacking: Top modules of the standard library that its Python does not have.
    """

    interpreter: str
    python: str
    glibc: tuple[int, int]
    musl: tuple[int, int] | None = None
    lacking: frozenset[str] = frozenset()

    def json(self) -> dict[str, Any]:
        """Returns it as a lock has it."""
        name, version = ("musl", self.musl) if self.musl else ("glibc", self.glibc)
        lacking = {"lacking": sorted(self.lacking)} if self.lacking else {}
        return {"interpreter": self.interpreter, "python": self.python, name: f"{version[0]}.{version[1]}", **lacking}

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> BasePython:
        """Reads it out of a lock."""
        name = "musl" if "musl" in value else "glibc"
        major, minor = map(int, value[name].split("."))
        glibc, musl = ((2, 28), (major, minor)) if name == "musl" else ((major, minor), None)
        lacking = frozenset(map(str, value.get("lacking", ())))
        return cls(str(value["interpreter"]), str(value["python"]), glibc, musl, lacking)


@dataclass(frozen=True, slots=True)
class Pins:
    """What is pinned for one platform: the base by digest, or its packages; and the packages of the environment."""

    base: Digest | None
    debs: tuple[PinnedDeb, ...]
    wheels: tuple[PinnedWheel, ...]
    conda: tuple[PinnedConda, ...] = ()
    base_python: BasePython | None = None

    @property
    def packages(self) -> tuple[Pinned[Package], ...]:
        """All packages, of whatever kind."""
        return tuple(chain.from_iterable(getattr(self, name) for name in _SECTIONS))

    def counts(self) -> dict[str, int]:
        """Returns how many packages there are, by section of the lock."""
        return {name: len(getattr(self, name)) for name in _SECTIONS}


_SECTIONS: Mapping[str, Callable[[Any], Any]] = {
    "debs": PinnedDeb.parse,
    "wheels": PinnedWheel.parse,
    "conda": PinnedConda.parse,
}
"""The sections of a platform in a lock, each a field of `Pins`, and how a package in it is read."""


@dataclass(frozen=True, slots=True)
class ModelPin:
    """A model's files with their sizes in bytes, and what they are held to.

    Attributes:
        layers: The diff ids of its layers; none for a model of a hub, whose files have hashes.
        hub: Where it comes from, for a model of a hub.
    """

    name: str
    version: int
    files: tuple[tuple[str, int], ...]
    layers: tuple[Digest, ...]
    hub: HubPin | None = None


@dataclass(frozen=True, slots=True)
class Lock:
    """The contents of a lock file.

    `inputs` are what decided the lock, `pins` the pinned packages by platform, `models` the pinned models, and `codecs` the
    versions of the compressors. `variants` are the locks of the project's variants, by name; their models are the project's.
    """

    inputs: Mapping[str, Any] = field(hash=False)
    pins: Mapping[str, Pins] = field(hash=False)
    models: tuple[ModelPin, ...] = ()
    codecs: tuple[str, ...] = ()
    variants: Mapping[str, Lock] = field(default_factory=dict, hash=False)

    def of(self, platform: Platform) -> Pins:
        """Returns the pins of a platform; a LockedError if the lock has none."""
        if str(platform) not in self.pins:
            raise LockedError(f"the lock has nothing for {platform}", hint=_AGAIN)
        return self.pins[str(platform)]

    def text(self) -> bytes:
        """Returns the file: JSON, sorted and indented, so that a change of one wheel is a change of one line's neighbourhood."""
        return json.dumps(self.json(), indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"

    def json(self) -> dict[str, Any]:
        """Returns the lock as the file has it."""
        return {
            "lock-version": VERSION,
            **_part_json(self),
            "models": [_model_json(model) for model in self.models],
            "codecs": list(self.codecs),
            **({"variants": {name: _part_json(each) for name, each in self.variants.items()}} if self.variants else {}),
        }


MAX_BYTES = 64 << 20
"""Bytes of a lock that are read: ten thousand packages are about 10 MiB."""


def read_lock(path: Path) -> Lock | None:
    """Returns the lock beside a project, or None where there is none."""
    try:
        data = read_named_file(path, MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise LockedError(f"can't be read: {fault.strerror}", where=str(path)) from None
    try:
        return parse_lock(data)
    except (CrateError, KeyError, TypeError, ValueError, AttributeError) as fault:
        why = fault.what if isinstance(fault, CrateError) else f"{type(fault).__name__}: {fault}"
        raise LockedError("is not a lock that this version can read", where=str(path), why=why, hint=_AGAIN) from None


def write_lock(path: Path, lock: Lock) -> None:
    """Writes a lock file, in the place of an earlier one; a MachineError if the disk refuses it."""
    with as_machine_error(path):
        write_file(path, lock.text())


@lru_cache(4)  # projects of one kind have the same lock, and a batch has many of a kind
def parse_lock(data: bytes) -> Lock:
    """Returns the lock in the bytes of a lock file.

    Raises:
        CrateError: It is of another version, or a value in it is not valid.
        KeyError: A member is missing.
        TypeError: A member has the wrong type.
        ValueError: It is not JSON, or a value in it is not valid.
    """
    value = parse_object(data)
    if value["lock-version"] != VERSION:
        raise IntegrityError(f"lock version {value['lock-version']!r:.20}, not {VERSION}")
    models = tuple(_model(model) for model in value["models"])
    codecs = tuple(map(str, value["codecs"]))
    variants = {name: _part(each, models, codecs) for name, each in value.get("variants", {}).items()}
    return replace(_part(value, models, codecs), variants=variants)


def _part(value: Mapping[str, Any], models: tuple[ModelPin, ...], codecs: tuple[str, ...]) -> Lock:
    """Returns the lock of the project, or of one of its variants."""
    if not isinstance(value["asked"], dict):
        raise IntegrityError("asked is not an object")
    pins = {str(Platform.parse(name)): _pins(pins) for name, pins in value["platforms"].items()}
    return Lock(value["asked"], pins, models, codecs)


def _part_json(lock: Lock) -> dict[str, Any]:
    return {
        "asked": dict(lock.inputs),
        "platforms": {platform: _pins_json(pins) for platform, pins in lock.pins.items()},
    }


def differences(inputs: Mapping[str, Any], lock: Lock) -> list[str]:
    """Returns the differences between the project's inputs now and those in the lock, a line each."""
    names = sorted({*inputs, *lock.inputs})
    return [
        _difference(name, lock.inputs.get(name), inputs.get(name))
        for name in names
        if lock.inputs.get(name) != inputs.get(name)
    ]


def refuse_differences(differing: Sequence[str]) -> None:
    """Raises a LockedError with these differences, if there are any."""
    if differing:
        raise LockedError(
            "the lock does not fit this project any more", where=FILE_NAME, why="\n".join(differing), hint=_AGAIN
        )


def changed_models(lock: Lock, now: Sequence[ModelPin]) -> Iterator[str]:
    """Yields how the models differ from those that were locked, by name, file and layer."""
    then = {(model.name, model.version): model for model in lock.models}
    for model in now:
        old = then.pop((model.name, model.version), None)
        name = f"model {model.name}:{model.version}"
        if old is None:
            yield f"{name} was not there when the project was locked"
        elif old.hub is not None:
            if changed := old.hub.changes(model.hub):
                yield f"{name}: {changed}"
        elif model.hub is not None:
            yield f"{name}: comes from a hub, and did not"
        elif dict(old.files) != dict(model.files):
            before, after = dict(old.files), dict(model.files)
            file = min(path for path in {*before, *after} if before.get(path) != after.get(path))
            yield f"{name}: {file} had {_size(before.get(file))}, and has {_size(after.get(file))}"
        elif old.layers != model.layers:
            yield f"{name}: a file has other bytes than when it was locked"
    yield from (f"model {name}:{version} is not there any more" for name, version in then)


def _size(size: int | None) -> str:
    return "not been there" if size is None else f"{size} bytes"


def _difference(name: str, before: object, after: object) -> str:
    if isinstance(before, list) and isinstance(after, list):
        gone = [str(each) for each in before if each not in after]
        new = [str(each) for each in after if each not in before]
        parts = [f"- {each}" for each in gone] + [f"+ {each}" for each in new]
        return f"{name}: {' '.join(parts) or 'another order'}"
    return f"{name}: was {before!r:.200}, is {after!r:.200}"


def _pins_json(pins: Pins) -> dict[str, Any]:
    found = {name: [each.json() for each in getattr(pins, name)] for name in _SECTIONS}
    out: dict[str, Any] = {name: values for name, values in found.items() if values or name == "wheels"}
    if pins.base is not None:
        out["base"] = str(pins.base)
    if pins.base_python is not None:
        out["base-python"] = pins.base_python.json()
    return out


def _pins(value: Mapping[str, Any]) -> Pins:
    base = Digest.parse(value["base"]) if "base" in value else None
    value["wheels"]  # the one section that every lock has
    python = BasePython.parse(value["base-python"]) if "base-python" in value else None
    packages = {name: _in_order(name, map(parse, value.get(name, ()))) for name, parse in _SECTIONS.items()}
    return Pins(base, **packages, base_python=python)


def _in_order(section: str, packages: Iterable[Any]) -> tuple[Any, ...]:
    """Returns the packages as a lock is written, by name: their order stands in the image, and an editor or a merge may have changed it."""
    found = sorted(packages, key=lambda each: each.name)
    for one, other in pairwise(found):
        if one.name == other.name:
            raise IntegrityError(f"{section} has {one.name} twice")
    return tuple(found)


def _model_json(model: ModelPin) -> dict[str, Any]:
    return {
        "name": model.name,
        "version": model.version,
        "files": dict(model.files),
        "layers": [str(digest) for digest in model.layers],
        **({"hub": model.hub.json()} if model.hub is not None else {}),
    }


def _model(value: Mapping[str, Any]) -> ModelPin:
    files = tuple((str(name), int(size)) for name, size in value["files"].items())
    pin = ModelPin(str(value["name"]), int(value["version"]), files, tuple(map(Digest.parse, value["layers"])))
    if "hub" not in value:
        return pin
    from modelcrate.resolve.hub_pin import HubPin

    return replace(pin, hub=HubPin.parse(value["hub"]))
