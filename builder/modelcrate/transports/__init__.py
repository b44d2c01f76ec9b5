"""Where images are and where they can go, one file for each kind of place.

A kind is found by its file: a module of this folder, or of `export`, with `KIND`, `EXAMPLE`, `parse` and an Output.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from modelcrate_layers.errors import UserError

if TYPE_CHECKING:
    from modelcrate.transports.output import Output

_SHARED = frozenset(
    {
        "addresses",
        "archive_reader",
        "archive_writer",
        "connections",
        "layout_reader",
        "output",
        "registry_reader",
        "store_reader",
    }
)
"""Modules of this folder that are no outputs."""


@cache
def kinds() -> Mapping[str, str]:
    """The outputs of this folder: their kinds, which are their files' names with dashes, and their modules."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    found = {name.replace("_", "-"): f"{__name__}.{name}" for name in names if name not in _SHARED}
    return {**found, "dockerfile": "modelcrate.export.dockerfile"}


def parse(text: str) -> Output:
    """An output as the command line writes it, `KIND:TARGET`. Only its own module is imported."""
    kind, colon, target = text.partition(":")
    if kind not in kinds() or not colon or not target:
        known = ", ".join(f"{name}:{importlib.import_module(module).EXAMPLE}" for name, module in kinds().items())
        raise UserError(f"not an output: {text!r}", hint=f"known are {known}")
    output: Output = importlib.import_module(kinds()[kind]).parse(target)
    return output
