"""Places of images, one module for each kind of place: it writes images there (an Output) and finds them there (`find`).

The kind of an output is the name of its module: a module of this folder, or of `export`, with `KIND`, `EXAMPLE` and `parse`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from modelcrate_layers.errors import UserError
from modelcrate_layers.patterns import compile_later

if TYPE_CHECKING:
    from modelcrate.transports.output import Output

_SHARED = frozenset(
    {"addresses", "archive", "archive_file", "archive_session", "connections", "output", "transfer_events"}
)
"""Modules of this folder that are no kinds of place."""

SHAPES = ("modelcar", "modelpack", "modelpack-tar")
"""Outputs for the models of a project alone."""

NESTED = (*SHAPES, "soci", "soci-rows")
"""Outputs whose targets are references, or other outputs with their kinds."""

PLACE = "HOST/REPOSITORY[:TAG]"
"""The example of such a target: they are for registries."""

_MADE = ("dockerfile", *NESTED)
"""Outputs of `export`: they write something else than the image as it is."""

STDOUT = "-"
"""The target of an archive that goes to standard output."""

_PORT = compile_later(r"[0-9]{1,5}/")


def is_stdout(kind: str, target: str) -> bool:
    """Returns whether an output of this kind and target goes to standard output, or a shape's, whose target may be an output."""
    if kind in NESTED:
        kind, _, target = target.partition(":")
    return kind.endswith("-archive") and target.partition(":")[0] == STDOUT


@cache
def kinds() -> Mapping[str, str]:
    """Returns the kinds of outputs with their modules. A kind is the module's name with dashes."""
    import pkgutil

    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = {name.replace("_", "-"): f"{__name__}.{name}" for name in names if name not in _SHARED}
    return {**modules, **{name: f"modelcrate.export.{name.replace('-', '_')}" for name in _MADE}}


def parse(text: str) -> Output:
    """Returns the output for `KIND:TARGET`. Only the module of that kind is imported.

    Raises:
        UserError: There is no such kind, or the target is missing or malformed.
    """
    kind, colon, target = text.partition(":")
    if kind not in kinds() or not colon or not target:
        from modelcrate.images.reference import has_host

        known = ", ".join(f"{name}:{importlib.import_module(module).EXAMPLE}" for name, module in kinds().items())
        wanted = f"for a registry write registry:{text}; " if has_host(text) else ""
        raise UserError(f"not an output: {text!r}", hint=f"{wanted}known are {known}")
    output: Output = importlib.import_module(kinds()[kind]).parse(target)
    return output


def parse_nested(kind: str, target: str, places: frozenset[str]) -> Output:
    """Returns the output that the target of a NESTED kind is: a reference, or another output with its kind.

    Args:
        kind: The kind.
        target: The target.
        places: The kinds of outputs that can have it.

    Raises:
        UserError: The target is neither.
    """
    first, colon, rest = target.partition(":")
    if not colon or first not in kinds() or _PORT.match(rest):  # `oci:5000/model` is a host with a port
        return parse(f"registry:{target}")
    if first not in places:
        known = ", ".join(f"{kind}:{each}:..." for each in sorted(places))
        raise UserError(f"a {kind} can't go to {first}:", hint=f"{kind}:{PLACE}; or one of {known}")
    return parse(target)
