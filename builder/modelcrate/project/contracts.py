"""Contracts: what an image promises to its platforms, and the files, variables and ports that keep the promise.

Each platform is a file of the server that goes into images (`modelcrate_server.platforms`). Adding one takes no other change.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.patterns import compile_later
from modelcrate_server import platforms

if TYPE_CHECKING:
    from modelcrate_server.platforms import Platform

APP_ROOT = "/var/azureml-app"
SERVER_ROOT = "opt/modelcrate/server"
PYTHON = "/opt/modelcrate/bin/python"
_CODE = compile_later(rb"\n(?:def|class|@)")
_IMPORT = compile_later(rb"^(?:import (\w+)|from (\w+)[\w.]* import )", re.MULTILINE)
DEFAULT = platforms.DEFAULT
"""The contract of an image whose project names none."""


@dataclass(frozen=True, slots=True)
class Route:
    """A path that the container answers, and the method."""

    method: str
    path: str


@dataclass(frozen=True, slots=True)
class Contract:
    """What one platform expects: the port, the routes, and the one that reports health."""

    name: str
    port: int
    health: Route
    routes: tuple[Route, ...]


@dataclass(frozen=True, slots=True)
class Promise:
    """All that an image needs for its contracts.

    Attributes:
        ports: The ports that the container listens on.
        env: Pairs of variables and values. A user's own variables come after them and win.
        argv: The start command.
        working_dir: The folder in which it starts.
        files: Names below the image's root, sorted, without a leading slash, and their bytes. One that begins with #! is a program.
        path: Folders of such programs.
    """

    ports: tuple[int, ...]
    env: tuple[tuple[str, str], ...]
    argv: tuple[str, ...]
    working_dir: str
    files: tuple[tuple[str, bytes], ...]
    path: tuple[str, ...]


def contracts() -> Mapping[str, Contract]:
    """Returns all contracts by name."""
    return {name: contract(name) for name in contract_names()}


def contract_names() -> tuple[str, ...]:
    """Returns the names of all contracts, sorted."""
    return tuple(platforms.names())


def contract(name: str) -> Contract:
    """Returns the contract of this name.

    Raises:
        UserError: There is none.
    """
    return _contract(_platform(name))


def promise(names: Sequence[str] = (DEFAULT,)) -> Promise:
    """Returns what an image with these contracts needs; one server answers all of them."""
    wanted = [_platform(name) for name in names]
    programs = sorted({each.program for each in wanted} - {""})
    env = {
        "AML_APP_ROOT": APP_ROOT,
        "PYTHONDONTWRITEBYTECODE": "1",  # the root file system may be read-only, and what is compiled has a layer already
        "PYTHONPATH": f"/{SERVER_ROOT}",
        "PYTHONUNBUFFERED": "1",  # a log line is seen when it is written
    }
    if tuple(names) != (DEFAULT,):
        env[platforms.VARIABLE] = ",".join(names)
    files = [*_server_files(), *((f"{SERVER_ROOT}/bin/{name}", _program()) for name in programs)]
    return Promise(
        ports=tuple(
            dict.fromkeys([*(each.port for each in wanted), *(each.grpc_port for each in wanted if each.grpc_port)])
        ),
        env=tuple(sorted(env.items())),
        argv=(PYTHON, "-m", "modelcrate_server"),
        working_dir=APP_ROOT,
        files=tuple(sorted(files, key=lambda file: file[0].encode())),
        path=(f"/{SERVER_ROOT}/bin",) if programs else (),
    )


def contract_packages(names: Sequence[str]) -> tuple[str, ...]:
    """Returns the packages that the server needs in the image to keep these contracts, beside those that it always needs."""
    return tuple(dict.fromkeys(package for name in names for package in _platform(name).packages))


@cache
def server_imports() -> frozenset[str]:
    """Returns the top modules that the files of the server import when they are imported themselves."""
    # by the lines at their beginnings: to parse them took a tenth of a small build, and the server's style has one import a line
    heads = (_CODE.split(source, 1)[0] for name, source in _server_files() if name.endswith(".py"))
    return frozenset((plain or begun).decode() for head in heads for plain, begun in _IMPORT.findall(head))


def _platform(name: str) -> Platform:
    """Returns one platform. Only its own file is imported, since starting has to be quick."""
    try:
        return platforms.platform(name)
    except platforms.UnknownPlatformError:
        known = ", ".join(contract_names())
        raise UserError(f"unknown contract {name!r}", hint=f"known contracts: {known}") from None


def _contract(platform: Platform) -> Contract:
    """Returns the contract of a platform whose variables are not set."""
    pairs = ((method, route.path) for route in platform.routes({}) for method in route.methods)
    routes = tuple(Route(method, path) for method, path in pairs if method in ("GET", "POST"))
    return Contract(platform.name, platform.port, Route("GET", platform.health), routes)


@cache
def _server_files() -> tuple[tuple[str, bytes], ...]:
    """Returns the sources of the server package, by their paths in the image."""
    package = Path(platforms.__file__).parents[1]
    parent = len(os.fspath(package.parent)) + 1
    sources = {}
    for folder, _, names in os.walk(package):
        below = folder[parent:].replace(os.sep, "/")
        for name in names:
            if name.endswith((".py", ".html", ".css", ".js")):
                with open(os.path.join(folder, name), "rb") as source:
                    sources[f"{SERVER_ROOT}/{below}/{name}"] = source.read()
    return tuple(sorted(sources.items(), key=lambda each: each[0].encode()))


def _program() -> bytes:
    """Returns a program that does what the image's start command does, for platforms that start one by its name."""
    return f"#!{PYTHON}\nfrom modelcrate_server.__main__ import main\n\nmain()\n".encode()
