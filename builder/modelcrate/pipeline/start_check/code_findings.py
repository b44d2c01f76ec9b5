"""What is found in the code of a project: the values that the walk through it yields, and that checks judge."""

from __future__ import annotations

import ast
from pathlib import PurePosixPath

from modelcrate_layers.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module.

    Attributes:
        module: Its dotted name.
        where: File and line.
        always: Whether it is imported whenever its script is imported or started.
        relative: Whether it is relative to a package that is not there, as in a script that belongs to none.
        possible: Whether it may be a name in a module instead.
        instead: Modules that are imported where this one can't be, or that this one stands in for.
        needed: Whether this one or `instead` is imported always.
    """

    module: str
    where: str
    always: bool
    relative: bool = False
    possible: bool = False
    instead: tuple[str, ...] = ()
    needed: bool = False


@dataclass(frozen=True, slots=True)
class CodeFault:
    """What the Python of the image can't do, with file and line, and a way out.

    `always`: it does whenever the script is started. `unless`: a module with which it can; empty for none.
    """

    text: str
    where: str
    always: bool
    hint: str = ""
    unless: str = ""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A file that is loaded whenever the script is started, by its path in the image; one of a model begins with AZUREML_MODEL_DIR."""

    path: PurePosixPath
    where: str


@dataclass(frozen=True, slots=True)
class PathChange:
    """A change of `sys.path` by a script: the folder that is added; None where it is not known."""

    folder: PurePosixPath | None
    where: str


Finding = Import | CodeFault | Loaded | PathChange


@dataclass(frozen=True, slots=True)
class File:
    """A Python file: its tree, its name in messages, its path in the image, the package that it is in, the minor version of its Python.

    `main`: it is started as a program. `calls` are the functions of it that a server calls.
    """

    tree: ast.Module
    shown: str
    path: PurePosixPath
    package: str
    minor: int
    main: bool = False
    calls: tuple[str, ...] = ()
