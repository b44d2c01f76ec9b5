"""The command line: words in, words and exit codes out. The only part that reads the environment, prints, or ends the process."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import ModuleType
from typing import TYPE_CHECKING, NoReturn

from modelcrate._version import __version__
from modelcrate_layers.errors import INTERRUPTED, CrateError, MachineError, UserError

if TYPE_CHECKING:
    import argparse

VERBS = {
    "init": "write the project file for a folder",
    "lock": "pin base, packages and models in modelcrate.lock",
    "check": "say whether the image of a project would start",
    "plan": "show what a build would do",
    "build": "build the image of a project",
    "model": "register models, and ask for them",
    "package": "build the image of registered models",
    "push": "push an image to a registry",
    "pull": "fetch an image from a registry",
    "copy": "copy an image from anywhere to anywhere",
    "tags": "list the tags of a repository",
    "digest": "print the digest of an image",
    "login": "keep credentials for a registry",
    "logout": "forget credentials for a registry",
    "run": "start an image, without an engine",
    "ps": "list containers",
    "logs": "print a container's log",
    "exec": "run a program in a container",
    "stop": "stop a container",
    "start": "start a container again",
    "kill": "end a container at once",
    "rm": "remove a container",
    "contract": "see whether a running container keeps to its platforms' protocols",
    "images": "list the images of the local store",
    "inspect": "show an image",
    "explain": "say which input decided each layer",
    "diff": "compare two images",
    "cache": "show or prune what is kept",
    "sbom": "print what is in an image",
    "keygen": "make a pair of keys to sign with",
    "sign": "sign an image",
    "verify": "check signatures, or rebuild or reread an image and compare",
}
"""One file each in this folder; imported when it is called for, so that starting costs what the verb costs."""

COLLECT_AFTER = 100_000
"""New objects after which Python looks for garbage: a build makes ten thousands of small values that live to its end."""

VERSION = f"modelcrate {__version__}"


def command() -> NoReturn:
    """The program: `main`, and then the end at once. Files are closed and threads have ended by then; to take ten thousands of values
    apart one by one, as Python does at its end, would cost a small build a tenth of its time.
    """
    code = main()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        sys.exit(code)  # Python's own way knows how to say that something was not written
    os._exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the result is the exit code (docs/reference/exit-codes.md)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words:
        parser().print_help(sys.stderr)
        return UserError.exit_code
    if words == ["--version"]:
        print(VERSION)
        return 0
    try:
        _check_verb(words[0])
        return _run(parser(words).parse_args(words))
    except CrateError as fault:  # a value of an option that can't be read
        print(f"{fault}\nnothing was changed (exit {fault.exit_code})", file=sys.stderr)
        return fault.exit_code
    except BrokenPipeError:  # who read our output has had enough
        with suppress(OSError):
            sys.stdout.close()
        return 0
    except KeyboardInterrupt as fault:
        print("interrupted; nothing half-made was left behind", file=sys.stderr)
        return getattr(fault, "exit_code", INTERRUPTED)


def parser(words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The grammar of the command line. Only the verb that `words` call for is imported and complete."""
    import argparse

    top = argparse.ArgumentParser(
        prog="modelcrate", description="Turns a trained model into a runnable container image, with nothing but Python."
    )
    top.add_argument("--version", action="version", version=VERSION, help="print the version and end")
    verbs = top.add_subparsers(dest="verb", metavar="COMMAND", required=True)
    called = next((word for word in words if word in VERBS), None)
    for name, summary in VERBS.items():
        if called and called == words[0] != name:
            continue  # a parser that nobody asks costs half a millisecond, and here are many
        each = verbs.add_parser(name, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter)
        if name == called:
            verb = _module(name)
            each.description = verb.__doc__
            for place in verb.arguments(each) or (each,):  # a verb with verbs of its own gives their parsers
                _common(place)
    return top


def _common(verb: argparse.ArgumentParser) -> None:
    import argparse

    group = verb.add_argument_group("common options")
    group.add_argument("--offline", action="store_true", help="open no connection; say what was lacking")
    group.add_argument("--json", action="store_true", help="print the result as JSON on standard output")
    group.add_argument(
        "--progress",
        choices=("auto", "bar", "lines", "json", "none"),
        default="auto",
        help="how progress is shown on standard error",
    )
    says_why = "say why, for instance why a layer is new"
    try:
        group.add_argument("-v", "--verbose", action="store_true", help=says_why)
    except argparse.ArgumentError:  # of `run`, -v is a volume, as it is docker's
        group.add_argument("--verbose", action="store_true", help=says_why)
    group.add_argument("--debug", action="store_true", help="show where in modelcrate an error came from")


def _run(args: argparse.Namespace) -> int:
    from modelcrate.cli.console import Console
    from modelcrate.cli.interruption import handle_interrupts

    gc.set_threshold(COLLECT_AFTER)
    console = Console.from_args(args)
    try:
        with console, handle_interrupts(console.progress.cancel):
            code: int = _module(args.verb).run(args, console)
            return code
    except BrokenPipeError:
        raise
    except Exception as fault:
        if args.debug:
            import traceback

            traceback.print_exception(fault)
        return console.print_error(_to_crate_error(fault))


def _to_crate_error(fault: Exception) -> CrateError:
    """What a user is told: our own errors as they are, the operating system's as this machine's, all others as our fault."""
    if isinstance(fault, CrateError):
        return fault
    if isinstance(fault, OSError):
        return MachineError(f"{fault.strerror or fault}", where=str(fault.filename or ""))
    return CrateError(
        f"this is a fault of modelcrate itself: {type(fault).__name__}: {fault}",
        hint="please report it with what --debug prints",
    )


def _check_verb(word: str) -> None:
    """A word that is no verb, with the one that was probably meant."""
    if word.startswith("-") or word in VERBS:
        return
    from difflib import get_close_matches

    near = get_close_matches(word, VERBS, 1)
    meant = f"; did you mean '{near[0]}'?" if near else ""
    print(f"modelcrate: unknown command '{word}'{meant}\nknown are {', '.join(VERBS)}", file=sys.stderr)
    raise SystemExit(UserError.exit_code)


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"modelcrate.cli.{name}")
