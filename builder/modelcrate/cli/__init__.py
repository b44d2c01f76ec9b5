"""The command line: words in, words and exit codes out. The only part that reads the environment, prints, or ends the process."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import ModuleType

from modelcrate_layers.errors import INTERRUPTED, CrateError, MachineError

VERBS = (
    "init",
    "lock",
    "plan",
    "build",
    "push",
    "run",
    "stop",
    "logs",
    "images",
    "inspect",
    "sbom",
    "keygen",
    "sign",
    "verify",
)
"""One file each in this folder; imported when it is called for, so that starting costs what the verb costs."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the result is the exit code (docs/reference/exit-codes.md)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    args = parser(words).parse_args(words)
    try:
        return _run(args)
    except BrokenPipeError:  # who read our output has had enough
        with suppress(OSError):
            sys.stdout.close()
        return 0


def parser(words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The grammar of the command line. Only the verb that `words` call for is imported; without one, all of them."""
    top = argparse.ArgumentParser(
        prog="modelcrate", description="Turns a trained model into a runnable container image, with nothing but Python."
    )
    top.add_argument("--version", action=_Version, nargs=0, help="print the version and end")
    verbs = top.add_subparsers(dest="verb", metavar="COMMAND", required=True)
    called = next((word for word in words if word in VERBS), None)
    for name in VERBS:
        if called in (None, name):
            verb = _module(name)
            each = verbs.add_parser(
                name, help=verb.SUMMARY, description=verb.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
            )
            verb.arguments(each)
            _common(each)
    return top


def _common(verb: argparse.ArgumentParser) -> None:
    group = verb.add_argument_group("common options")
    group.add_argument("--offline", action="store_true", help="open no connection; say what was lacking")
    group.add_argument("--json", action="store_true", help="print the result as JSON on standard output")
    group.add_argument(
        "--progress",
        choices=("auto", "bar", "lines", "json", "none"),
        default="auto",
        help="how progress is shown on standard error",
    )
    group.add_argument("--debug", action="store_true", help="show where in modelcrate an error came from")


def _run(args: argparse.Namespace) -> int:
    from modelcrate.cli.console import Console

    console = Console.of(args)
    try:
        with console:
            code: int = _module(args.verb).run(args, console)
            return code
    except KeyboardInterrupt:
        console.say("interrupted; nothing half-made was left behind")
        return INTERRUPTED
    except CrateError as fault:
        if args.debug:
            raise
        return console.fail(fault)
    except OSError as fault:
        if args.debug or isinstance(fault, BrokenPipeError):
            raise
        return console.fail(MachineError(f"{fault.strerror or fault}", where=str(fault.filename or "")))


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"modelcrate.cli.{name}")


class _Version(argparse.Action):
    """Looks the version up only when it is asked for: reading package metadata costs more than starting."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            found = version("modelcrate")
        except PackageNotFoundError:
            found = "(not installed)"
        print(f"modelcrate {found}")
        parser.exit()
