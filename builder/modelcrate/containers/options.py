"""What a user may ask of a run, and what comes of it together with the image's config. Pure values, checked on construction."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from modelcrate_layers.errors import IntegrityError, UserError
from modelcrate_layers.frozen import dataclass

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""PATH where neither image nor user sets it: what other engines use."""

ENGINES = ("runc", "crun", "namespaces", "chroot")
"""By name, best first; `auto` takes the first that works here."""

NETWORKS = ("own", "host")
"""`own`: loopback only, reached through the published ports. `host`: the machine's own network."""

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}")
_NO_ENV: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Port:
    """A published port: 127.0.0.1:`host` on the machine leads to `container` inside. 0 as `host` means any free one."""

    host: int
    container: int

    def __post_init__(self) -> None:
        if not (0 <= self.host <= 65535 and 1 <= self.container <= 65535):
            raise UserError(f"not a port mapping: {self.host}:{self.container}", hint="ports are 1 to 65535")

    @classmethod
    def parse(cls, text: str) -> Port:
        """`HOST:CONTAINER`, or one number for both."""
        host, colon, container = text.partition(":")
        numbers = (host, container if colon else host)
        if not all(re.fullmatch(r"[0-9]{1,5}", number) for number in numbers):
            raise UserError(f"not a port mapping: {text!r}", hint="expected HOST:CONTAINER, for instance 8080:5001")
        return cls(int(numbers[0]), int(numbers[1]))


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How to start a container. What is None or empty is left to the image's config."""

    name: str
    state_dir: Path
    ports: tuple[Port, ...] = ()
    env: Mapping[str, str] = field(default_factory=lambda: _NO_ENV, hash=False)
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    user: str | None = None
    engine: str = "auto"
    network: str = "own"
    read_only: bool = False
    keep: bool = False
    """Whether the unpacked root folder stays after the end."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UserError(
                f"not a container name: {self.name!r}",
                hint="letters, digits, '_', '.', '-'; at most 63; the first a letter or digit",
            )
        if self.engine not in ("auto", *ENGINES):
            raise UserError(f"unknown engine {self.engine!r}", hint=f"known are auto, {', '.join(ENGINES)}")
        if self.network not in NETWORKS:
            raise UserError(f"unknown network {self.network!r}", hint=f"known are {', '.join(NETWORKS)}")
        published = [port.host for port in self.ports if port.host]
        if len(set(published)) != len(published):
            raise UserError("one port of this machine is published twice")


@dataclass(frozen=True, slots=True)
class Process:
    """The program that a container runs: image config and options merged (image-spec config.md, `config`)."""

    args: tuple[str, ...]
    env: tuple[str, ...]
    cwd: str
    user: str
    stop_signal: int


def process_of(config: Mapping[str, Any], options: RunOptions) -> Process:
    """Merges a parsed image config with the options.

    A new entry point drops the image's command, as every engine does. IntegrityError for a config that isn't one, UserError where
    there is nothing to run.
    """
    settings = config.get("config") or {}
    if not isinstance(settings, Mapping):
        raise IntegrityError("the image's config has a 'config' that is not an object")
    entrypoint = _strings(settings, "Entrypoint") if options.entrypoint is None else options.entrypoint
    command = _strings(settings, "Cmd") if options.entrypoint is None else ()
    args = (*entrypoint, *(command if options.command is None else options.command))
    if not args:
        raise UserError("the image has neither an entry point nor a command", hint="say what to run after the image")
    env = {"PATH": DEFAULT_PATH, **dict(_variable(entry) for entry in _strings(settings, "Env")), **options.env}
    cwd = _string(settings, "WorkingDir") or "/"
    for text in (*args, *env, *env.values(), cwd):
        if "\0" in text:
            raise UserError("a NUL in the command, the environment or the working folder")
    return Process(
        args=args,
        env=tuple(f"{key}={value}" for key, value in env.items()),
        cwd=cwd,
        user=_string(settings, "User") if options.user is None else options.user,
        stop_signal=_signal(_string(settings, "StopSignal")),
    )


def _string(settings: Mapping[str, Any], key: str) -> str:
    value = settings.get(key)
    if value is not None and not isinstance(value, str):
        raise IntegrityError(f"the image's config has a {key} that is not a string")
    return value or ""


def _strings(settings: Mapping[str, Any], key: str) -> Sequence[str]:
    value = settings.get(key) or []
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise IntegrityError(f"the image's config has a {key} that is not a list of strings")
    return value


def _variable(entry: str) -> tuple[str, str]:
    key, _, value = entry.partition("=")
    return key, value


def _signal(text: str) -> int:
    """`SIGTERM`, `TERM` or `15`; nothing means SIGTERM."""
    if not text:
        return signal.SIGTERM
    name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    if text.isascii() and text.isdecimal() and 1 <= int(text) <= signal.SIGRTMAX:
        return int(text)
    if name in signal.Signals.__members__:
        return signal.Signals[name]
    raise IntegrityError(f"the image's config has a StopSignal that is none: {text[:40]!r}")
