"""Parser of MLflow's MLmodel files: flavours, versions and the signature. It opens and loads no other file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from modelcrate.project.foreign_yaml import load_yaml
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.patterns import compile_later

FILE_NAME = "MLmodel"
_VERSION = compile_later(r"[0-9]{1,4}(\.[0-9]{1,5}){1,3}([a-z0-9.+]{0,20})")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor. It may have no name; -1 is a dimension of any size."""

    name: str
    kind: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MLmodel:
    """The content of an MLmodel file: `flavors` by name, with their settings that are texts; `python` is the version that made it."""

    flavors: Mapping[str, Mapping[str, str]] = field(hash=False)
    mlflow_version: str = ""
    python: str = ""
    inputs: tuple[Column | Tensor, ...] = ()


def parse_mlmodel(data: bytes, where: str) -> MLmodel:
    """Returns the model that an MLmodel file describes.

    Raises:
        UserError: The file is not valid. The message names the part.
    """
    document = load_yaml(data, where)
    flavors = document.get("flavors") if isinstance(document, dict) else None
    if not isinstance(flavors, dict) or not all(isinstance(name, str) for name in flavors):
        raise UserError("is no MLmodel: it names no flavors", where=where)
    settings_of = {name: _texts(settings) for name, settings in flavors.items()}
    python = settings_of.get("python_function", {}).get("python_version", "")
    signature = document.get("signature")
    inputs = signature.get("inputs") if isinstance(signature, dict) else None
    return MLmodel(
        settings_of, _version(document.get("mlflow_version")), _version(python), tuple(_inputs(inputs, where))
    )


def _texts(settings: Any) -> dict[str, str]:
    return (
        {str(k): str(v) for k, v in settings.items() if isinstance(v, str | int | float)}
        if isinstance(settings, dict)
        else {}
    )


def _version(value: Any) -> str:
    return value if isinstance(value, str) and _VERSION.fullmatch(value) else ""


def _inputs(text: Any, where: str) -> Iterator[Column | Tensor]:
    """A signature's inputs: JSON within the YAML."""
    if not isinstance(text, str):
        return
    try:
        inputs = json.loads(text)
    except (ValueError, RecursionError):
        raise UserError("has a signature that is no JSON", where=where) from None
    for each in inputs if isinstance(inputs, list) else ():
        if not isinstance(each, dict):
            continue
        name, kind, spec = str(each.get("name") or ""), each.get("type"), each.get("tensor-spec")
        if kind == "tensor" and isinstance(spec, dict) and isinstance(spec.get("shape"), list):
            sides = spec["shape"]
            yield Tensor(name, str(spec.get("dtype", "")), tuple(n if type(n) is int else -1 for n in sides[:64]))
        elif isinstance(kind, str):
            yield Column(name, kind)
