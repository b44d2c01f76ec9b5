"""The command line: words in, words and exit codes out. The only part that reads the environment, prints, or ends the process."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import ModuleType

from modelcrate_layers.errors import INTERRUPTED, CrateError, MachineError

VERBS = {
    "init": "write the project file for a folder",
    "lock": "pin base, packages and models in modelcrate.lock",
    "plan": "show what a build would do",
    "build": "build the image of a project",
    "push": "push an image to a registry",
    "pull": "fetch an image from a registry",
    "copy": "copy an image from anywhere to anywhere",
    "tags": "list the tags of a repository",
    "digest": "print the digest of an image",
    "login": "keep credentials for a registry",
    "logout": "forget credentials for a registry",
    "run": "start an image, without an engine",
    "stop": "stop a container",
    "logs": "print a container's log",
    "images": "list the images of the local store",
    "inspect": "show an image",
    "explain": "say which input decided each layer",
    "diff": "compare two images",
    "cache": "show or prune what is kept",
    "verify": "rebuild or reread an image and compare",
}
"""One file each in this folder; imported when it is called for, so that starting costs what the verb costs."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the result is the exit code (docs/reference/exit-codes.md)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(parser(words).parse_args(words))
    except BrokenPipeError:  # who read our output has had enough
        with suppress(OSError):
            sys.stdout.close()
        return 0
    except KeyboardInterrupt as fault:
        print("interrupted; nothing half-made was left behind", file=sys.stderr)
        return getattr(fault, "exit_code", INTERRUPTED)


def parser(words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The grammar of the command line. Only the verb that `words` call for is imported and complete."""
    top = argparse.ArgumentParser(
        prog="modelcrate", description="Turns a trained model into a runnable container image, with nothing but Python."
    )
    top.add_argument("--version", action=_Version, nargs=0, help="print the version and end")
    verbs = top.add_subparsers(dest="verb", metavar="COMMAND", required=True)
    called = next((word for word in words if word in VERBS), None)
    for name, summary in VERBS.items():
        each = verbs.add_parser(name, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter)
        if name == called:
            verb = _module(name)
            each.description = verb.__doc__
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
    from modelcrate.cli.interruption import heeded

    console = Console.of(args)
    try:
        with console, heeded(console.progress.cancel):
            code: int = _module(args.verb).run(args, console)
            return code
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
