"""The options of a run. Pure values, checked on construction."""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path, PurePosixPath

from modelcrate.containers.devices import Devices
from modelcrate.containers.limits import Limits, Restart
from modelcrate.images.root_folder import MOUNT_POINTS
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.patterns import compile_later

ENGINES = ("runc", "crun", "namespaces", "chroot")
"""By name, best first. `auto` takes the first of them that works here, but never `chroot`, which is no container."""

NOT_HELD_BY_CHROOT = "chroot is no container: a program of the image that runs as root can reach the other processes of this machine, by signals and ptrace"
"""Shown at each start with this engine, and where it is offered."""

NETWORKS = ("own", "host", "none")
"""`own`: loopback only, reached through the published ports. `host`: the machine's own network. `none`: loopback, and no published port; a
machine that can't give it starts nothing."""

MAX_STRING = (1 << 17) - 1
"""Bytes of one argument or variable (execve(2), MAX_ARG_STRLEN, with the NUL at its end)."""

_NAME = compile_later(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}")
_MAPPING = compile_later(r"(?:([0-9]+(?:\.[0-9]+){3}|\[[0-9A-Fa-f:.]+\]):(?=[0-9]+:))?([0-9]{1,5})(?::([0-9]{1,5}))?")

LOOPBACK = "127.0.0.1"
"""Where ports are published unless a user names another address: only this machine reaches them."""


@dataclass(frozen=True, slots=True)
class Port:
    """A published port: `host` on an address of the machine leads to `container` inside. 0 as `host` means any free one."""

    host: int
    container: int
    address: str = LOOPBACK

    def __post_init__(self) -> None:
        if not all(type(number) is int for number in (self.host, self.container)):
            raise UserError(
                f"not a port mapping: {self.host!r}: {self.container!r}", hint="ports are numbers, such as {8080: 5001}"
            )
        if not (0 <= self.host <= 65535 and 1 <= self.container <= 65535):
            raise UserError(f"not a port mapping: {self.host}:{self.container}", hint="ports are 1 to 65535")
        try:
            object.__setattr__(self, "address", str(ip_address(self.address)))
        except ValueError:
            hint = "expected one of this machine, such as 127.0.0.1, or 0.0.0.0 for all of them"
            raise UserError(f"not an IP address: {self.address[:80]!r}", hint=hint) from None

    @classmethod
    def parse(cls, text: str) -> Port:
        """Reads `[ADDRESS:]HOST:CONTAINER`, or one number for both; an IPv6 address is in brackets, as docker has it."""
        found = _MAPPING.fullmatch(text)
        if found is None:
            hint = "expected [ADDRESS:]HOST:CONTAINER, for instance 8080:5001"
            raise UserError(f"not a port mapping: {text[:80]!r}", hint=hint)
        address, host, container = found.groups()
        return cls(int(host), int(container or host), address.strip("[]") if address else LOOPBACK)

    @classmethod
    def of(cls, host: int | str, container: int) -> Port:
        """Returns the port for a number of this machine's, or for text such as `0.0.0.0:8080`."""
        return cls.parse(f"{host}:{container}") if isinstance(host, str) else cls(host, container)

    @property
    def reached(self) -> str:
        """The address and port by which this machine reaches it."""
        address = {"0.0.0.0": LOOPBACK, "::": "::1"}.get(self.address, self.address)  # noqa: S104 - a user's wish
        return f"[{address}]:{self.host}" if ":" in address else f"{address}:{self.host}"

    def __str__(self) -> str:
        shown = f"[{self.address}]" if ":" in self.address else self.address
        return f"{shown}:{self.host}->{self.container}"


@dataclass(frozen=True, slots=True)
class Volume:
    """A folder or file of the machine that the container has at an absolute path of its own."""

    host: Path
    container: str
    read_only: bool = False

    def __post_init__(self) -> None:
        target = PurePosixPath(self.container)
        first = target.parts[1:2]
        if not target.is_absolute() or ".." in target.parts or not first or "\0" in self.container:
            raise UserError(
                f"not a folder of a container: {self.container[:80]!r}", hint="expected an absolute path, without '..'"
            )
        if (os.fsencode(first[0]),) in MOUNT_POINTS:
            raise UserError(
                f"nothing can be mounted on {self.container}",
                why="the engine makes it",
                hint="mount on a folder of its own, such as /data",
            )

    def check(self) -> None:
        """Checks that the machine has it, for an engine would blame itself. UserError otherwise."""
        if not self.host.is_dir() and not self.host.is_file():
            raise UserError("no folder or file to mount", where=str(self.host), hint="make the folder first")

    @classmethod
    def parse(cls, text: str) -> Volume:
        """Reads `HOST:CONTAINER`, with `:ro` for read-only or `:rw`."""
        host, _, rest = text.partition(":")
        container, colon, mode = rest.partition(":")
        if not host or not container or (colon and mode not in ("ro", "rw")):
            raise UserError(f"not a mount: {text[:80]!r}", hint="expected HOST:CONTAINER or HOST:CONTAINER:ro")
        if "/" not in host and host not in (".", ".."):
            raise UserError(f"there are no named volumes: {host[:80]!r}", hint=f"for a folder here write ./{host}")
        return cls(Path(host).absolute(), container, mode == "ro")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How to start a container. What is None or empty is left to the image's config."""

    name: str
    state_dir: Path
    ports: tuple[Port, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, hash=False)
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    user: str | None = None
    workdir: str | None = None
    volumes: tuple[Volume, ...] = ()
    engine: str = "auto"
    network: str = "own"
    limits: Limits = Limits()
    devices: Devices = Devices()
    restart: Restart = Restart()
    read_only: bool = False
    keep: bool = False
    """Whether the unpacked root folder stays after the end."""

    remove: bool = False
    """Whether the container is removed after its end, with its log."""

    image: str = ""
    """The image's address and digest, for people and for a second start."""

    digest: str = ""

    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    """What others want to know of the container later; it decides nothing."""

    trees: Path | None = None
    """The folder in which unpacked layers are kept for later starts; None keeps none."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UserError(
                f"not a container name: {self.name[:80]!r}",
                hint="letters, digits, '_', '.', '-'; at most 63; the first a letter or digit",
            )
        if self.engine not in ("auto", *ENGINES):
            raise UserError(f"unknown engine {self.engine[:80]!r}", hint=f"known are auto, {', '.join(ENGINES)}")
        if self.network not in NETWORKS:
            raise UserError(f"unknown network {self.network[:80]!r}", hint=f"known are {', '.join(NETWORKS)}")
        if self.network == "none" and self.ports:
            raise UserError("a container with --network none publishes no port", hint="leave out one of the two")
        if self.restart.policy != "no" and self.remove:
            raise UserError("a container that is started again can't be removed after its end", hint="leave out --rm")
        published = [(port.address, port.host) for port in self.ports if port.host]
        if len(set(published)) != len(published):
            raise UserError(
                "one port of this machine is published twice", hint="publish it once; 0 takes any free port"
            )
        targets = [PurePosixPath(volume.container) for volume in self.volumes]
        if len(set(targets)) != len(targets):
            raise UserError(
                "two folders are mounted on the same path of the container", hint="give each a path of its own"
            )


def container_name(address: str) -> str:
    """Returns a container's name for an image's address: the last part of its path, without tag and digest."""
    last = address.rstrip("/").rpartition("/")[2].partition("@")[0]
    return (last.partition(":")[0] or "container")[:63]
