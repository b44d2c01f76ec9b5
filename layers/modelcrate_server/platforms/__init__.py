"""The platforms whose protocols this server speaks: one file each, found by this folder.

A file has a `PLATFORM`. It says where the platform expects the container to listen, what it asks, how a request becomes a call of
the entry script and its result an answer, and which requests show that a container keeps to it. Whatever else wants to know (the
builder, the checks of running containers, the tests) reads it here.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the names of the platforms are asked for by those who start quickly
    from ..request import AMLRequest
    from ..response import Response
    from ..service import Service

Handler = Callable[["Service", "AMLRequest", Mapping[str, str]], "Response"]
"""Answers a request; the mapping has what stands in the place of the path's names. `HttpError` for what is to be refused."""

DEFAULT = "azureml"
VARIABLE = "MODELCRATE_CONTRACTS"
"""The variable that says which platforms are served, separated by commas."""


@dataclass(frozen=True)
class Route:
    """A path, with names in braces, and the methods that are answered there.

    `logged`: each request is a line in the log. `probe`: the handler uses nothing of the script, so it is called while run() works, in
    another thread.
    """

    methods: tuple[str, ...]
    path: str
    handler: Handler
    logged: bool = False
    probe: bool = False


@dataclass(frozen=True)
class Check:
    """A request that shows whether a container keeps to the protocol, and what has to come back.

    `{model}` and `{version}` in the path are filled in by who asks. `body` is made of the instances for which answers are wanted,
    a list of rows; one that needs them is not asked without. Of the answer: its status is one of these, it is a JSON object with
    these members, and it is there within these seconds.
    """

    what: str
    method: str
    path: str
    status: tuple[int, ...] = (200,)
    members: tuple[str, ...] = ()
    body: bytes | Callable[[list[Any]], bytes] | None = None
    content_type: str = "application/json"
    seconds: float = 60.0


@dataclass(frozen=True)
class Platform:
    """One platform's protocol. Routes depend on the environment, for some platforms choose them there."""

    name: str
    port: int
    port_variables: tuple[str, ...]
    """What moves the port; the first that is set does."""
    health: str
    routes: Callable[[Mapping[str, str]], Sequence[Route]]
    error: Callable[[int, str], Response]
    """How the protocol says that something went wrong."""
    checks: tuple[Check, ...]
    model_folder: str = ""
    """Where the platform mounts a model; if it did, that one is served instead of the image's own."""
    lists_models: str = ""
    """A path whose answer names the models, for who has to find out."""
    free_bodies: bool = False
    """The protocol leaves the body to the script; where another has a form for it at the same path, that one goes first."""
    ignored: tuple[tuple[str, str], ...] = ()
    """Variables of the platform that have no effect here, and why."""
    program: str = ""
    """What the platform starts in the container instead of the image's own command."""

    def port_in(self, environ: Mapping[str, str]) -> str:
        """The port, as text that nobody has checked yet."""
        return next((environ[name] for name in self.port_variables if environ.get(name)), str(self.port))


def platforms() -> dict[str, Platform]:
    """All platforms by name."""
    return {name: platform(name) for name in names()}


def names() -> list[str]:
    """The names of all platforms, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def platform(name: str) -> Platform:
    """The platform of this name. KeyError where there is none."""
    if name not in names():
        raise KeyError(name)
    found: Platform = importlib.import_module(f"{__name__}.{name}").PLATFORM
    return found


def chosen(environ: Mapping[str, str]) -> tuple[Platform, ...]:
    """The platforms that this environment asks for, in its order. KeyError with the name of one that there isn't."""
    wanted = [name.strip() for name in environ.get(VARIABLE, "").split(",") if name.strip()] or [DEFAULT]
    return tuple(map(platform, wanted))
