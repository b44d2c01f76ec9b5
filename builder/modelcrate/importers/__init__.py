"""The configurations of other tools, as projects: one module a kind of file, and the table that decides between them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, cast

from modelcrate.importers.imported import Imported
from modelcrate.workspace.backend import WorkspaceBackend
from modelcrate_layers.errors import SourceError, UserError


class Format(Protocol):
    """The interface of the modules here that read one kind of file."""

    TOOL: str
    NAMES: tuple[str, ...]

    def recognises(self, data: Mapping[str, object]) -> bool:
        """Returns whether a YAML mapping is of this kind, for files with another name."""

    def read(self, file: Path) -> Imported:
        """Reads a file of this kind."""


_FORMATS = ("cog", "bento", "modelfile")
"""The modules, in the order in which they are asked about a file of another name."""


def formats() -> tuple[Format, ...]:
    """Returns the kinds of files that are read."""
    return tuple(cast("Format", importlib.import_module(f"{__name__}.{name}")) for name in _FORMATS)
