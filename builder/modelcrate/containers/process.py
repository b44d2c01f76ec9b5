"""The program that a container runs, from the image's config and the options together (image-spec config.md, `config`).

The config is a stranger's. Each of its fields is checked here, and a message names the field, so that neither an engine nor this machine is
blamed for what the image says.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from typing import Any

from modelcrate.containers.options import MAX_STRING, RunOptions
from modelcrate_layers.errors import CrateError, IntegrityError, UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.patterns import compile_later

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""PATH where neither image nor user sets it: what other engines use."""

MAX_STRINGS = 1 << 20
"""Bytes of all arguments and variables together. Linux allows a quarter of the stack, which is 2 MiB by default."""

MAX_VARIABLES = 10_000
"""Variables of a program. runc compares each with each, and took more than a minute over 100,000."""

_SIGNAL_NUMBER = compile_later(r"[0-9]{1,2}")
_REAL_TIME = compile_later(r"SIGRTM(?:IN(?:\+([0-9]{1,2}))?|AX(?:-([0-9]{1,2}))?)")


@dataclass(frozen=True, slots=True)
class Process:
    """A program with its arguments, its environment as `NAME=VALUE`, its working folder, its user as the image names it, and its stop signal."""

    args: tuple[str, ...]
    env: tuple[str, ...]
    cwd: str
    user: str
    stop_signal: int


def process_of(config: Mapping[str, Any], options: RunOptions) -> Process:
    """Returns the merged program. A new entry point drops the image's command, as every engine does.

    Args:
        config: the image's config, parsed.
        options: the user's options; they win.

    Raises:
        IntegrityError: a field of the config is not what the specification says.
        UserError: an option is wrong, or there is nothing to run.
    """
    settings = config.get("config") or {}
    if not isinstance(settings, Mapping):
        raise IntegrityError("the image's config has a 'config' that is not an object")
    entrypoint = _strings(settings, "Entrypoint") if options.entrypoint is None else options.entrypoint
    command = _strings(settings, "Cmd") if options.entrypoint is None else ()
    args = (*entrypoint, *(command if options.command is None else options.command))
    if not args:
        raise UserError("the image has neither an entry point nor a command", hint="say what to run after the image")
    if not args[0]:
        raise UserError(
            "the program to start has an empty name", hint="name a program behind the image, or with --entrypoint"
        )
    env = {"PATH": DEFAULT_PATH, **dict(map(_variable, _strings(settings, "Env"))), **options.env}
    if len(env) > MAX_VARIABLES:
        raise IntegrityError(f"the image's config has an Env of more than {MAX_VARIABLES} variables")
    variables = tuple(f"{key}={value}" for key, value in env.items())
    for text in (*args, *variables):
        _check_text(text, UserError, "an argument or variable")
    if sum(len(text.encode()) + 1 for text in (*args, *variables)) > MAX_STRINGS:
        raise UserError(
            f"the command and the environment are longer than {MAX_STRINGS} bytes",
            hint="a large value goes into a file that is mounted with --volume",
        )
    return Process(
        args=args,
        env=variables,
        cwd=_working_folder(settings, options.workdir),
        user=_string(settings, "User") if options.user is None else options.user,
        stop_signal=_stop_signal(_string(settings, "StopSignal")),
    )


def variables_of(env: Sequence[str]) -> dict[str, str]:
    """Returns the variables of a `Process.env` by name."""
    return {name: value for name, _, value in (entry.partition("=") for entry in env)}


def check_variable(name: str, value: str) -> None:
    """Checks a variable that a user sets. UserError for one that no program could be given."""
    if not name or "=" in name:
        raise UserError(f"not a variable: {name[:40]!r}", hint="expected NAME=VALUE")
    _check_text(f"{name}={value}", UserError, "a variable")


def check_working_folder(path: str) -> str:
    """Returns the working folder that a user chose; UserError where it is not an absolute path."""
    if not path.startswith("/"):
        raise UserError(f"not a working folder: {path[:80]!r}", hint="expected an absolute path of the image")
    _check_text(path, UserError, "the working folder")
    return path


def _working_folder(settings: Mapping[str, Any], chosen: str | None) -> str:
    if chosen is not None:
        return check_working_folder(chosen)
    found = _string(settings, "WorkingDir") or "/"
    if not found.startswith("/"):
        hint = "name another one with --workdir"
        raise IntegrityError(f"the image's config has a relative WorkingDir: {found[:80]!r}", hint=hint)
    return found


def _string(settings: Mapping[str, Any], key: str) -> str:
    value = settings.get(key)
    if value is not None and not isinstance(value, str):
        raise IntegrityError(f"the image's config has a {key} that is not a string")
    _check_text(value or "", IntegrityError, f"the image's config: {key}")
    return value or ""


def _strings(settings: Mapping[str, Any], key: str) -> Sequence[str]:
    value = settings.get(key) or []
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise IntegrityError(f"the image's config has a {key} that is not a list of strings")
    for entry in value:
        _check_text(entry, IntegrityError, f"the image's config: {key}")
    return value


def _variable(entry: str) -> tuple[str, str]:
    key, equals, value = entry.partition("=")
    if not key or not equals:
        raise IntegrityError(f"the image's config has an Env entry that is not NAME=VALUE: {entry[:80]!r}")
    return key, value


def _check_text(text: str, kind: type[CrateError], what: str) -> None:
    """Refuses what no program can be given: a NUL, half of a surrogate pair, more bytes than the kernel takes."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise kind(f"{what} holds a character that is none: {text[:80]!r}") from None
    if "\0" in text:
        raise kind(f"{what} holds a NUL: {text[:80]!r}")
    if size > MAX_STRING:
        raise kind(f"{what} is longer than {MAX_STRING} bytes")


def _stop_signal(text: str) -> int:
    """`SIGTERM`, `TERM`, `15` or `RTMIN+3`; nothing means SIGTERM."""
    number = signal_number(text) if text else signal.SIGTERM
    if number is None:
        raise IntegrityError(f"the image's config has a StopSignal that is no signal: {text[:40]!r}")
    return number


def signal_number(text: str) -> int | None:
    """Returns the number of a signal by name or number; None where there is no such signal."""
    name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    number = 0
    if _SIGNAL_NUMBER.fullmatch(text):
        number = int(text)
    elif name in signal.Signals.__members__:
        number = signal.Signals[name]
    elif found := _REAL_TIME.fullmatch(name):
        number = signal.SIGRTMAX - int(found[2]) if found[2] else signal.SIGRTMIN + int(found[1] or 0)
    return number if 1 <= number <= signal.SIGRTMAX else None
