"""Contracts: what an image promises to its platform.

One file here is one contract; adding one takes no other change.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass

from modelcrate_layers.errors import UserError


@dataclass(frozen=True, slots=True)
class Route:
    """A path the container answers, and for which method."""

    method: str
    path: str


@dataclass(frozen=True, slots=True)
class Contract:
    """Where the container listens, what it answers, how it is started, and which files that takes.

    `env` are pairs; a user's own variables come after them and win. `files` are names below the image's root, without a
    leading slash, sorted, with their bytes.
    """

    name: str
    port: int
    health: Route
    routes: tuple[Route, ...]
    env: tuple[tuple[str, str], ...]
    argv: tuple[str, ...]
    working_dir: str
    files: tuple[tuple[str, bytes], ...]


def contracts() -> Mapping[str, Contract]:
    """All contracts by name, found by their files in this folder."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg)
    modules = (importlib.import_module(f"{__name__}.{name}") for name in names)
    found = (getattr(module, "CONTRACT", None) for module in modules)
    return {contract.name: contract for contract in found if isinstance(contract, Contract)}


def contract(name: str) -> Contract:
    """The contract of this name; `UserError` when there is none."""
    known = contracts()
    if name not in known:
        raise UserError(f"unknown contract {name!r}", hint=f"known contracts: {', '.join(known)}")
    return known[name]
