"""The pinned world, as a file: modelcrate.resolve.lock. It names no host, so any index, mirror or wheelhouse can serve it. Pure but for reading and writing.

`asked` repeats what the project asked for when it was locked; a project that asks for something else needs another lock.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, field
from pathlib import Path
from typing import Any

from modelcrate.resolve.debian.pinned import PinnedDeb
from modelcrate.resolve.pinned import PinnedConda, PinnedWheel
from modelcrate_layers.atomic import write_file
from modelcrate_layers.content import Digest, Platform, parse_object
from modelcrate_layers.errors import CrateError, IntegrityError, LockedError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.store import as_machine_error

FILE_NAME = "modelcrate.resolve.lock"
VERSION = 1
_AGAIN = "lock again: modelcrate lock"


@dataclass(frozen=True, slots=True)
class Pins:
    """What is pinned for one platform: the base by digest, or its packages; every wheel, and every conda package."""

    base: Digest | None
    debs: tuple[PinnedDeb, ...]
    wheels: tuple[PinnedWheel, ...]
    conda: tuple[PinnedConda, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelPin:
    """A model's files with their sizes in bytes, and the diff ids of its layers."""

    name: str
    version: int
    files: tuple[tuple[str, int], ...]
    layers: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class Lock:
    asked: Mapping[str, Any] = field(hash=False)
    pins: Mapping[str, Pins] = field(hash=False)
    models: tuple[ModelPin, ...] = ()
    codecs: tuple[str, ...] = ()

    def of(self, platform: Platform) -> Pins:
        if str(platform) not in self.pins:
            raise LockedError(f"the lock has nothing for {platform}", hint=_AGAIN)
        return self.pins[str(platform)]

    def text(self) -> bytes:
        """The file: JSON, sorted and indented, so that a change of one wheel is a change of one line's neighbourhood."""
        value = {
            "lock-version": VERSION,
            "asked": dict(self.asked),
            "platforms": {platform: _pins_json(pins) for platform, pins in self.pins.items()},
            "models": [_model_json(model) for model in self.models],
            "codecs": list(self.codecs),
        }
        return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def read_lock(path: Path) -> Lock | None:
    """The lock beside a project, or None where there is none; one that can't be understood is a LockedError."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise LockedError(f"can't be read: {fault.strerror}", where=str(path)) from None
    try:
        return parse_lock(data)
    except (CrateError, KeyError, TypeError, ValueError) as fault:
        why = fault.what if isinstance(fault, CrateError) else f"{type(fault).__name__}: {fault}"
        raise LockedError("is not a lock that this version can read", where=str(path), why=why, hint=_AGAIN) from None


def write_lock(path: Path, lock: Lock) -> None:
    with as_machine_error(path):
        write_file(path, lock.text())


def parse_lock(data: bytes) -> Lock:
    value = parse_object(data)
    if value["lock-version"] != VERSION:
        raise IntegrityError(f"lock version {value['lock-version']!r:.20}, not {VERSION}")
    return Lock(
        value["asked"],
        {str(Platform.parse(name)): _pins(pins) for name, pins in value["platforms"].items()},
        tuple(_model(model) for model in value["models"]),
        tuple(map(str, value["codecs"])),
    )


def differences(asked: Mapping[str, Any], lock: Lock) -> list[str]:
    """What the project asks for now and did not when it was locked, a line each."""
    names = sorted({*asked, *lock.asked})
    return [
        _difference(name, lock.asked.get(name), asked.get(name))
        for name in names
        if lock.asked.get(name) != asked.get(name)
    ]


def refuse_differences(differing: Sequence[str]) -> None:
    """A LockedError with these differences, if there are any."""
    if differing:
        raise LockedError(
            "the lock is not of this project any more", where=FILE_NAME, why="\n".join(differing), hint=_AGAIN
        )


def changed_models(lock: Lock, now: Sequence[ModelPin]) -> Iterator[str]:
    """How the models differ from those that were locked, by name, file and layer."""
    then = {(model.name, model.version): model for model in lock.models}
    for model in now:
        old = then.pop((model.name, model.version), None)
        name = f"model {model.name}:{model.version}"
        if old is None:
            yield f"{name} was not there when the project was locked"
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
    out: dict[str, Any] = {"wheels": [_wheel_json(each) for each in pins.wheels]}
    if pins.base is not None:
        out["base"] = str(pins.base)
    if pins.debs:
        out["debs"] = [each.json() for each in pins.debs]
    if pins.conda:
        out["conda"] = [{key: value for key, value in asdict(each).items() if value is not None} for each in pins.conda]
    return out


def _pins(value: Mapping[str, Any]) -> Pins:
    base = Digest.parse(value["base"]) if "base" in value else None
    debs, conda = tuple(map(PinnedDeb.parse, value.get("debs", ()))), tuple(map(_conda, value.get("conda", ())))
    return Pins(base, debs, tuple(map(_wheel, value["wheels"])), conda)


def _wheel_json(wheel: PinnedWheel) -> dict[str, Any]:
    out = {
        "name": wheel.name,
        "version": wheel.version,
        "filename": wheel.filename,
        "sha256": wheel.sha256,
        "size": wheel.size,
    }
    return {key: value for key, value in out.items() if value is not None}


def _wheel(value: Mapping[str, Any]) -> PinnedWheel:
    return PinnedWheel(**_texts(value, "name", "version", "filename", "sha256"), size=value.get("size"))


def _conda(value: Mapping[str, Any]) -> PinnedConda:
    texts = _texts(value, "name", "version", "build", "subdir", "filename", "sha256")
    return PinnedConda(**texts, size=value.get("size"))


def _texts(value: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """The texts of a pinned package; what is none, or no size, is an IntegrityError."""
    size = value.get("size")
    texts = {key: value[key] for key in keys}
    if not all(isinstance(text, str) for text in texts.values()) or not (size is None or isinstance(size, int)):
        raise IntegrityError(f"not a pinned package: {dict(value)!r:.120}")
    Digest("sha256", texts["sha256"])
    return texts


def _model_json(model: ModelPin) -> dict[str, Any]:
    return {
        "name": model.name,
        "version": model.version,
        "files": dict(model.files),
        "layers": [str(digest) for digest in model.layers],
    }


def _model(value: Mapping[str, Any]) -> ModelPin:
    files = tuple((str(name), int(size)) for name, size in value["files"].items())
    return ModelPin(str(value["name"]), int(value["version"]), files, tuple(map(Digest.parse, value["layers"])))
