"""Conda's environment files: bytes in, what they ask for out. Packages are not looked for here."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping

from modelcrate.project.foreign_yaml import load_yaml
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass, replace
from modelcrate_layers.patterns import compile_later

_PYTHON = compile_later(r"python\s*(?:[=~><]=?=?)\s*(3\.\d+)(?:\.[0-9*]+)*")
_SPEC = compile_later(r"(?:[\w./-]+::)?([A-Za-z0-9._-]+)\s*(.*)", re.DOTALL)
_READ = frozenset({"name", "channels", "dependencies", "prefix"})
"""The keys of a file that are read; `prefix` is a folder of the machine that wrote it."""

_TOOLS = frozenset({"pip", "setuptools", "wheel"})
"""The installers of Python packages, which conda environments list beside pip requirements; an image of ours has none."""

_ON_PYPI = {
    "pytorch": "torch",
    "pytorch-cpu": "torch",
    "tensorflow-gpu": "tensorflow",
    "py-xgboost": "xgboost",
    "py-opencv": "opencv-python-headless",
    "matplotlib-base": "matplotlib",
    "onnxruntime-cpu": "onnxruntime",
    "msgpack-python": "msgpack",
    "pyarrow-core": "pyarrow",
}
"""Where a package has another name on PyPI."""


@dataclass(frozen=True, slots=True)
class CondaSpec:
    """`packages` are conda's own, without python and pip; `pip` the lines of its pip section; `python` has two numbers.

    `unread` tells which keys of a file say nothing here, and what to do.
    """

    name: str = ""
    channels: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()
    python: str | None = None
    unread: tuple[str, ...] = ()


def parse_conda(data: bytes, where: str) -> CondaSpec:
    """Returns the specification in an environment file."""
    return read_conda(load_yaml(data, where), where)


def read_conda(document: object, where: str) -> CondaSpec:
    """Returns the specification in the contents of an environment file.

    Raises:
        UserError: It has another form.
    """
    if not isinstance(document, dict):
        raise UserError(
            "is not a conda environment: it has no keys",
            where=where,
            hint="an environment has the keys `dependencies` and `channels`",
        )
    lines = _texts(document, "dependencies", where, nested=True)
    conda = [line for line in lines if isinstance(line, str)]
    pip = [text for line in lines if isinstance(line, dict) for text in _texts(line, "pip", where)]
    channels = map(str, _texts(document, "channels", where))
    found = spec(str(document.get("name") or ""), channels, conda, map(str, pip), where)
    return replace(found, unread=unread_keys(document))


def unread_keys(document: Mapping[str, object]) -> tuple[str, ...]:
    """Returns what to do for each key of an environment file that says nothing here."""
    known = f"known are {', '.join(sorted(_READ))}"
    ways = {"variables": "set them in modelcrate.yaml: env: {NAME: VALUE}"}
    return tuple(
        f"the key {str(key)[:60]!r} is not read; {ways.get(key, known)}" for key in document if key not in _READ
    )


def spec(
    name: str,
    channels: Iterable[str],
    packages: Iterable[str],
    pip: Iterable[str],
    where: str = "the conda dependencies",
) -> CondaSpec:
    """Returns the specification of these parts: Python's version is taken out of the packages, and pip is left out."""
    conda = list(packages)
    python = [line for line in conda if package_name(line) == "python"]
    kept = [line for line in conda if package_name(line) not in _TOOLS | {"python"}]
    return CondaSpec(
        name,
        tuple(channels),
        tuple(kept),
        tuple(pip),
        _python(python[-1], where) if python else None,
    )


def package_name(line: str) -> str:
    """Returns the name of a conda package, in lower case."""
    match = _SPEC.match(line.strip())
    return match[1].lower() if match else ""


def as_requirement(line: str) -> str:
    """Returns the pip requirement that is closest to a conda package."""
    match = _SPEC.match(line.strip())
    if match is None:
        return line
    name, rest = _ON_PYPI.get(match[1].lower(), match[1].lower()), match[2].strip()
    version = re.match(r"=?=?\s*([0-9][\w.]*)(\.?\*)?(?:[\s=].*)?$", rest)
    if version:
        exact = rest.startswith("==") and not version[2]
        return f"{name}=={version[1]}" if exact else f"{name}=={version[1].rstrip('.')}.*"
    return f"{name}{rest}" if re.match(r"[<>!~]", rest) else name


def _python(line: str, where: str) -> str | None:
    if line.strip() == "python":
        return None
    match = _PYTHON.match(line.strip())
    if match is None:
        raise UserError(
            f"not a version of Python: {line[:60]!r}", where=where, hint="expected for instance python=3.11"
        )
    return match[1]


def _texts(document: dict[str, object], key: str, where: str, nested: bool = False) -> list[object]:
    value = document.get(key) or []
    if not isinstance(value, list):
        raise UserError(f"{key!r} is not a list", where=where, hint="write one item a line, each behind a dash")
    for each in value:
        if not isinstance(each, str | int | float) and not (nested and isinstance(each, dict)):
            raise UserError(
                f"{key!r} has something in it that is no text: {reprlib.repr(each):.60}",
                where=where,
                hint="write texts; a text that looks like a number goes in quotes",
            )
    return [each if isinstance(each, dict) else str(each) for each in value]


def conda_text(wanted: CondaSpec) -> str:
    """Returns an environment file that means this."""
    from modelcrate.project.writing import scalar

    def lines() -> Iterator[str]:
        yield f"name: {scalar(wanted.name or 'project_environment')}"
        if wanted.channels:
            yield "channels:"
        yield from (f"  - {scalar(each)}" for each in wanted.channels)
        yield "dependencies:"
        if wanted.python:
            yield f"  - {scalar(f'python={wanted.python}')}"
        yield from (f"  - {scalar(each)}" for each in wanted.packages)
        if wanted.pip:
            yield "  - pip:"
        yield from (f"      - {scalar(each)}" for each in wanted.pip)

    return "".join(f"{line}\n" for line in lines())
