"""The platforms whose protocols this server speaks, one file for each.

Each file has a `PLATFORM`: the port, the routes and their handlers, the form of errors, and requests that check whether a container
keeps to the protocol. The builder, the checks of running containers and the tests read it here.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:  # listing the names of the platforms has to be quick
    from ..request import AMLRequest
    from ..response import Response
    from ..service import Service, Steps

Handler = Callable[["Service", "AMLRequest", Mapping[str, str]], "Response | Steps"]
"""Answers a request, or returns the steps to the answer where it takes the script; the mapping has what stands in the place of the path's
names. `HttpError` for what is to be refused."""

DEFAULT = "azureml"
VARIABLE = "MODELCRATE_CONTRACTS"
"""The variable that says which platforms are served, separated by commas."""


class Route(NamedTuple):
    """A path, with names in braces, and the methods that it has.

    Attributes:
        methods: The HTTP methods.
        path: The path.
        handler: Answers the request.
        logged: Each request is a line in the log, and is counted.
        probe: The handler needs nothing of the script, so another thread may call it while run() works.
    """

    methods: tuple[str, ...]
    path: str
    handler: Handler
    logged: bool = False
    probe: bool = False


class Check(NamedTuple):
    """A request that shows whether a container keeps to the protocol, and the answer that is expected.

    Attributes:
        what: What is checked.
        method: The HTTP method.
        path: The path; the check fills in `{model}` and `{version}`.
        status: The allowed statuses.
        members: The members that the answer, a JSON object, must have.
        body: The body, or a function that makes it of instances, a list of rows. Such a check is left out when no instances are given.
        content_type: The type of the body.
        seconds: The time in which the answer must arrive.
    """

    what: str
    method: str
    path: str
    status: tuple[int, ...] = (200,)
    members: tuple[str, ...] = ()
    body: bytes | Callable[[list[Any]], bytes] | None = None
    content_type: str = "application/json"
    seconds: float = 60.0


class Platform(NamedTuple):
    """The protocol of one platform. Its routes may depend on the environment."""

    name: str
    port: int
    port_variables: tuple[str, ...]
    """What moves the port; the first that is set does."""
    health: str
    routes: Callable[[Mapping[str, str]], Sequence[Route]]
    error: Callable[[int, str], Response]
    """Makes an error in the protocol's form of a status and a message."""
    checks: tuple[Check, ...]
    model_folder: str = ""
    """Where the platform mounts a model; if it did, that one is served instead of the image's own."""
    lists_models: str = ""
    """A path whose answer names the models; empty without one."""
    free_bodies: bool = False
    """The protocol leaves the form of bodies to the script. Another protocol with a form for the same path is preferred."""
    ignored: tuple[tuple[str, str], ...] = ()
    """Variables of the platform without effect here, each with the reason."""
    grpc_port: int | None = None
    """Where the protocol is spoken over gRPC, beside the routes over HTTP; None where it is not. MODELCRATE_GRPC_PORT moves it."""
    packages: tuple[str, ...] = ()
    """What the protocol needs in the image beside the server."""
    program: str = ""
    """What the platform starts in the container instead of the image's own command."""

    def port_in(self, environ: Mapping[str, str]) -> str:
        """Returns the port in this environment, as text that is not checked yet."""
        return next((environ[name] for name in self.port_variables if environ.get(name)), str(self.port))


def platforms() -> dict[str, Platform]:
    """Returns all platforms by name."""
    return {name: platform(name) for name in names()}


def names() -> list[str]:
    """Returns the names of all platforms, sorted."""
    # `pkgutil` would import what reads Python's grammar, and starting has to be quick
    files = [name for folder in __path__ for name in os.listdir(folder) if name.endswith(".py")]
    return sorted(name[:-3].replace("_", "-") for name in files if name != "__init__.py")


class UnknownPlatformError(Exception):
    """There is no platform of this name. A fault in a platform's own file is another error."""


def platform(name: str) -> Platform:
    """Returns the platform of this name; `UnknownPlatformError` without one."""
    if name not in names():
        raise UnknownPlatformError(name)
    found: Platform = importlib.import_module(f"{__name__}.{name.replace('-', '_')}").PLATFORM
    return found


def chosen(environ: Mapping[str, str]) -> tuple[Platform, ...]:
    """Returns the platforms that this environment names, in its order; `UnknownPlatformError` for a name."""
    wanted = [name.strip() for name in environ.get(VARIABLE, "").split(",") if name.strip()] or [DEFAULT]
    return tuple(map(platform, wanted))
