"""Dependencies as projects declare them: one module for each kind of file, all with one result.

A lock is taken as it is and never resolved again; anything else becomes requirements that uv resolves. The kind of a file follows
from its name.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, cast

from modelcrate.project.values import Conda, Dependencies
from modelcrate.resolve.pinned import Solved
from modelcrate.resolve.requirements import Requirements
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass, field


@dataclass(frozen=True, slots=True)
class Declaration:
    """The dependencies of a project, from any supported format.

    Attributes:
        requirements: The Python packages, or the lock that lists them.
        conda: Packages of conda to be solved.
        wheels_instead: Returns the requirements that replace `conda` where nothing can solve it, and notices about that; None
            where the project requires conda's packages and no others.
        solved: Packages of conda that a lock has, by conda's name of the platform.
        requires_python: The Pythons that are allowed (PEP 440); empty: any.
        inputs: The inputs that a lock repeats, as text that people can compare.
        notices: Sentences about what was taken and what was not.
    """

    requirements: Requirements = Requirements()
    conda: Conda | None = None
    wheels_instead: Callable[[], tuple[tuple[str, ...], tuple[str, ...]]] | None = field(default=None, compare=False)
    solved: Mapping[str, Solved] = field(default_factory=dict, hash=False)
    requires_python: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict, hash=False)
    notices: tuple[str, ...] = ()


class Format(Protocol):
    """The interface of the modules here."""

    def read(self, path: Path, needs: Dependencies) -> Declaration:
        """Reads a file of this format and returns what it declares."""


_FORMATS: Mapping[str, tuple[str, str]] = {
    r"pylock(\.[^.]+)?\.toml": ("pylock", "a lock file (PEP 751)"),
    r"uv\.lock": ("uv", "a lock of uv"),
    r"poetry\.lock": ("poetry", "a lock of Poetry"),
    r"pdm\.lock": ("pdm", "a lock of PDM"),
    r"pixi\.lock": ("pixi", "a lock of pixi"),
    r"Pipfile\.lock": ("pipfile", "a lock of Pipenv"),
    r"pyproject\.toml": ("pyproject", "a Python project"),
    r".*\.ya?ml": ("environment", "a conda environment"),
    r"Pipfile|conda-lock\.ya?ml|setup\.(py|cfg)|(?!requirements).*\.(toml|lock)": (
        "refused",
        "a file that is not read",
    ),
}
"""By the file's name: the module here, and what such a file is called."""

_REQUIREMENTS = ("pip", "a requirements file")


def format_of(path: Path) -> tuple[str, str]:
    """Returns the module that reads a file of this name, and what such a file is called."""
    name = path.name
    if name.endswith((".txt", ".in")):  # most are, and no pattern has to be compiled for them
        return _REQUIREMENTS
    if re.fullmatch(r"conda-lock\.ya?ml", name):
        return "refused", "a file that is not read"
    return next((found for pattern, found in _FORMATS.items() if re.fullmatch(pattern, name)), _REQUIREMENTS)


def is_lock(path: Path) -> bool:
    """Returns whether a file of this name pins everything, so that nothing is resolved."""
    return format_of(path)[0] in {"pylock", "uv", "poetry", "pdm", "pixi", "pipfile"}


def read_declaration(needs: Dependencies, folder: Path) -> Declaration:
    """Reads what a project declares. Nothing is resolved, and no index is queried.

    Raises:
        UserError: The file is not valid, or requires what is not available; it names every fault.
        SourceError: The file can't be read.
    """
    _check_torch(needs)
    if needs.pylock is not None:
        return _read("pylock", folder / needs.pylock, needs)
    if isinstance(needs.requirements, Path):
        path = folder / needs.requirements
        return _read(format_of(path)[0], path, needs)
    if needs.extras or needs.groups:
        raise UserError("extras and groups without a file that has them", hint="name it: requirements: pyproject.toml")
    lines = needs.requirements
    return Declaration(Requirements(lines), needs.conda, inputs={"requirements": list(lines)})


def _check_torch(needs: Dependencies) -> None:
    """Refuses a choice of PyTorch's builds beside a lock, which is taken as it is."""
    file = needs.pylock or needs.requirements
    if needs.torch and isinstance(file, Path) and is_lock(file):
        raise UserError(
            f"torch: {needs.torch} beside a lock",
            where=str(file),
            why="a lock is taken as it is, so it decides which builds of PyTorch there are",
            hint=f"lock with PyTorch's index (https://download.pytorch.org/whl/{'cpu' if needs.torch == 'auto' else needs.torch}), or name the file that the lock was made from",
        )


def _read(module: str, path: Path, needs: Dependencies) -> Declaration:
    reader = cast("Format", importlib.import_module(f"{__name__}.{module}"))
    return reader.read(path, needs)


def refuse_parts(needs: Dependencies, path: Path) -> None:
    """Refuses extras and groups for a file that has none.

    Raises:
        UserError: The project names some.
    """
    if needs.extras or needs.groups:
        raise UserError("has no extras and groups", where=str(path), hint="leave out extras and groups in dependencies")


def refuse_unknown(kind: str, wanted: tuple[str, ...], known: list[str], path: Path) -> None:
    """Refuses extras or groups that a file does not have.

    Raises:
        UserError: One of them is not there, with those that are.
    """
    unknown = [name for name in wanted if name not in known]
    if unknown:
        have = f"it has {', '.join(sorted(known))}" if known else "it has none"
        raise UserError(f"has no {kind} {', '.join(unknown)}", where=str(path), hint=have)


def line_of(path: Path, text: str, part: str) -> str:
    """Returns the file and the line in which a part of it stands first."""
    found = next((number for number, line in enumerate(text.splitlines(), 1) if part in line), None)
    return f"{path}:{found}" if found else str(path)
