"""Options that the verbs for containers share, read as docker reads its own."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from modelcrate_layers.errors import UserError, unreadable
from modelcrate_layers.named_file import read_named_file
from modelcrate_layers.patterns import compile_later

MAX_ENV_FILE = 1 << 20
"""Bytes of a file with variables."""

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = compile_later(r"(?:[0-9]{1,9}(?:\.[0-9]{1,9})?[smhd])+")
_PART = compile_later(r"([0-9.]+)([smhd])")
_SECONDS = compile_later(r"[0-9]{1,11}(?:\.[0-9]{1,9})?")


def process_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what can be said of a program in a container."""
    parser.add_argument(
        "-e",
        "--env",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="set a variable; without a value it is taken from this environment",
    )
    parser.add_argument(
        "--env-file",
        action="append",
        default=[],
        metavar="FILE",
        help="set the variables of a file: NAME=VALUE or NAME a line, # for comments",
    )
    parser.add_argument("-u", "--user", metavar="USER[:GROUP]", help="names or numbers instead of the image's user")
    parser.add_argument("-w", "--workdir", metavar="FOLDER", help="the working folder instead of the image's")


def variables(args: argparse.Namespace, environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables of `--env-file`, and over them those of `--env`.

    Args:
        args: the parsed command line.
        environment: where a NAME without a value is looked up; one that is not there is left out, as docker does.

    Raises:
        UserError: a variable is none, or a file is not UTF-8.
        SourceError: a file can't be read.
    """
    from modelcrate.containers.process import check_variable

    found: dict[str, str] = {}
    for where, text in [
        *((name, line) for name in args.env_file for line in _lines(name)),
        *(("", text) for text in args.env),
    ]:
        name, equals, value = text.partition("=")
        try:
            check_variable(name, value)
        except UserError as fault:
            raise UserError(fault.what, where=where, hint=fault.hint) from None
        if equals:
            found[name] = value
        elif name in environment:
            found[name] = environment[name]
    return found


def moment(text: str) -> float:
    """Reads a time as docker does: seconds since 1970, a date and time (ISO 8601), or how long ago (`10m`, `1h30m`).

    Returns:
        Seconds since 1970.

    Raises:
        UserError: it is none of these.
    """
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        if _DURATION.fullmatch(text):
            return time.time() - sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        hint = "expected how long ago (10m, 1h30m), a date and time (2026-11-29T10:00:00), or seconds since 1970"
        raise UserError(f"not a time: {text[:40]!r}", hint=hint) from None


def _lines(name: str) -> Iterator[str]:
    try:
        lines = read_named_file(Path(name), MAX_ENV_FILE).decode("utf-8-sig").split("\n")
    except OSError as fault:
        raise unreadable(
            fault, name, "the file with variables", "expected a text file with NAME=VALUE a line"
        ) from None
    except UnicodeDecodeError:
        raise UserError("a file with variables is not UTF-8", where=name, hint="save the file as UTF-8") from None
    for line in lines:
        text = line.removesuffix("\r").lstrip()
        if text and not text.startswith("#"):
            yield text
