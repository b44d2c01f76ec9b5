"""The command line: arguments in, text and exit codes out. Only this package parses arguments, prints, and ends the process."""

from __future__ import annotations

import gc
import importlib
import io
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import ModuleType
from typing import TYPE_CHECKING, NoReturn

from modelcrate._version import __version__
from modelcrate_layers import host
from modelcrate_layers.errors import INTERRUPTED, CrateError, MachineError, UserError

if TYPE_CHECKING:
    import argparse

VERBS = {
    "init": "write the project file for a folder",
    "lock": "pin base, packages and models in modelcrate.lock",
    "check": "check whether the image of a project would start",
    "plan": "show what a build would do",
    "build": "build the image of a project",
    "model": "register, list and download models",
    "package": "build the image of registered models",
    "azureml": "run a script of Azure's SDK v1",
    "deploy": "start Azure's deployment YAML on this machine",
    "push": "push an image to a registry",
    "pull": "fetch an image from a registry",
    "copy": "copy an image between registries, folders and archives",
    "sources": "write the project that an image was made of into a folder",
    "rebase": "put an image onto another base, if it runs there",
    "swap-model": "give an image another model, if it answers as before",
    "outdated": "show which packages of an image are behind, or vulnerable",
    "bundle": "carry images over an air gap as a file",
    "tags": "list the tags of a repository",
    "digest": "print the digest of an image",
    "login": "save credentials for a registry",
    "logout": "remove saved credentials for a registry",
    "run": "start an image, without a container engine",
    "ps": "list containers",
    "logs": "print a container's log",
    "exec": "run a program in a container",
    "stop": "stop a container",
    "start": "start a container again",
    "cp": "copy files out of a container, or into it",
    "kill": "end a container at once",
    "rm": "remove a container",
    "serve": "serve a project on this machine, without an image, and again after each change",
    "predict": "ask a model: a project, an image or a running server",
    "test": "send an image its golden requests",
    "emit": "print a manifest for Kubernetes, compose, systemd or others",
    "contract": "check whether a running container implements its platforms' protocols",
    "images": "list the images of the local store",
    "inspect": "show an image",
    "explain": "show which inputs each layer was made from, or why layers changed",
    "diff": "compare two images",
    "cache": "show, prune or check cached files",
    "sbom": "print the bill of materials of an image",
    "keygen": "create a key pair for signing",
    "sign": "sign an image",
    "verify": "verify signatures or contents of an image, or rebuild a project",
    "completion": "print the script that completes commands in a shell",
}
"""The commands. Each is a module of this folder, imported only when it is called, to keep the start fast."""

COLLECT_AFTER = 100_000
"""New objects after which Python collects garbage: a build makes tens of thousands of small values that live to its end."""

SUMMARY = "turns a trained model into a runnable container image, with nothing but Python"
VERSION = f"modelcrate {__version__}"


def command() -> NoReturn:
    """Runs `main` and ends the process without Python's cleanup.

    Files are closed and threads have ended by then. Python would free tens of thousands of values one by one, which takes a tenth of
    the time of a small build.
    """
    gc.set_threshold(COLLECT_AFTER)
    _open_standard_streams()
    try:
        code = main()
    except SystemExit as end:  # argparse's, behind help and usage
        if not isinstance(end.code, int):
            raise
        code = end.code
    os._exit(_flush(code))


def _flush(code: int) -> int:
    """Writes what Python still holds of the output. Returns the exit code, which is an error's where the result has no room."""
    with suppress(ValueError):  # closed, because its reader was gone
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            pass
        except OSError as fault:
            code = code or _say_unwritten(fault)
    with suppress(OSError, ValueError):
        sys.stderr.flush()
    return code


def _say_unwritten(fault: OSError) -> int:
    with suppress(OSError):
        print(f"the output can't be written: {fault.strerror}", file=sys.stderr)
    return MachineError.exit_code


def _open_standard_streams() -> None:
    """Opens /dev/null in place of a standard stream that the caller has closed. Else a file of ours would get its number, and its output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 - they last as long as the process
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            _take_any_letter(stream)


def _take_any_letter(stream: io.TextIOWrapper) -> None:
    """Lets a stream print what its encoding lacks, as escapes. Files and pipes get UTF-8 with plain line feeds on Windows, as everywhere else."""
    if host.WINDOWS and not stream.isatty():
        stream.reconfigure(encoding="utf-8", newline="\n")
    if stream.errors == "strict":
        stream.reconfigure(errors="backslashreplace")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: The arguments; by default those of the process.

    Returns:
        The exit code (docs/reference/exit-codes.md).
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words:
        parser().print_help(sys.stderr)
        return UserError.exit_code
    try:
        if words == ["--version"]:
            print(VERSION)
            return 0
        _check_verb(words[0])
        return _run(_parse(words))
    except CrateError as fault:  # a value of an option that can't be read
        from modelcrate.render.printable import printable

        print(printable(f"{fault}\nnothing was changed (exit {fault.exit_code})"), file=sys.stderr)
        return fault.exit_code
    except BrokenPipeError:  # the reader of our output has closed it, such as `head`
        with suppress(OSError):
            sys.stdout.close()
        return 0
    except OSError as fault:  # where Python keeps no buffer, each of our lines meets what is wrong with the stream
        return _say_unwritten(fault)
    except KeyboardInterrupt as fault:
        print("interrupted; no incomplete files were left behind", file=sys.stderr)
        return getattr(fault, "exit_code", INTERRUPTED)


def _parse(words: Sequence[str]) -> argparse.Namespace:
    """Returns the arguments. Ends the process for one that the command does not know, and shows those that it knows."""
    args, unknown = parser(words).parse_known_args(words)
    if unknown:
        from difflib import get_close_matches

        known: argparse.ArgumentParser = args.parser
        name = unknown[0].partition("=")[0]
        near = get_close_matches(name, known._option_string_actions, 1)
        meant = f"; did you mean '{near[0]}'?" if near else ""
        if name in near:
            meant = f"; it stands behind the command: {known.prog} {name}"
        known.error(f"unrecognized arguments: {' '.join(unknown)}{meant}")
    return args


def parser(words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Returns the parser of the command line. Only the command that `words` name is imported and has its options."""
    import argparse

    class Formatter(argparse.HelpFormatter):
        def format_help(self) -> str:
            self._action_max_length += 2  # the names of commands stand further in than argparse counts
            return super().format_help()

    description = f"{SUMMARY[0].upper()}{SUMMARY[1:]}."
    top = argparse.ArgumentParser(prog="modelcrate", description=description, formatter_class=Formatter)
    top.add_argument("--version", action="version", version=VERSION, help="print the version and end")
    verbs = top.add_subparsers(dest="verb", metavar="COMMAND", required=True)
    called = next((word for word in words if word in VERBS), None)
    for name, summary in VERBS.items():
        if called and called == words[0] != name:
            continue  # each unused parser costs half a millisecond
        each = verbs.add_parser(name, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter)
        if name == called:
            verb = _module(name)
            each.description = (verb.__doc__ or "").strip()
            for place in verb.arguments(each) or (each,):  # a verb with verbs of its own gives their parsers
                _common(place)
    return top


def subcommands(verb: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    """Returns the parsers of a command's own commands, such as those of `model`."""
    from argparse import _SubParsersAction

    return next((each.choices for each in verb._actions if isinstance(each, _SubParsersAction)), {})


def _common(verb: argparse.ArgumentParser) -> None:
    import argparse

    verb.set_defaults(parser=verb)
    group = verb.add_argument_group("common options")
    group.add_argument("--offline", action="store_true", help="open no connection; fail if something has to be fetched")
    group.add_argument("--json", action="store_true", help="print the result as JSON on standard output")
    group.add_argument(
        "--progress",
        choices=("auto", "bar", "lines", "json", "none"),
        default="auto",
        help="how progress is shown on standard error",
    )
    says_why = "show reasons, for instance why a layer is new"
    try:
        group.add_argument("-v", "--verbose", action="store_true", help=says_why)
    except argparse.ArgumentError:  # of `run`, -v is a volume, as it is docker's
        group.add_argument("--verbose", action="store_true", help=says_why)
    group.add_argument("--debug", action="store_true", help="show where in modelcrate an error came from")


def _run(args: argparse.Namespace) -> int:
    from modelcrate.cli.console import Console
    from modelcrate.cli.interruption import handle_interrupts

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
    """Returns an exception as an error for the user: one of the operating system as MachineError, an unknown one as an internal error."""
    if isinstance(fault, CrateError):
        return fault
    if isinstance(fault, OSError):
        from modelcrate.environment import of_the_system

        return of_the_system(fault)
    return CrateError(
        f"this is a fault of modelcrate itself: {type(fault).__name__}: {fault}",
        hint="please report it with the output of --debug",
    )


def _check_verb(word: str) -> None:
    """Ends the process for an unknown command, and names the command that was probably meant."""
    if word.startswith("-") or word in VERBS:
        return
    from difflib import get_close_matches

    near = get_close_matches(word, VERBS, 1)
    meant = f"; did you mean '{near[0]}'?" if near else ""
    print(f"modelcrate: unknown command '{word}'{meant}\nknown are {', '.join(VERBS)}", file=sys.stderr)
    raise SystemExit(UserError.exit_code)


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"modelcrate.cli.{name.replace('-', '_')}")
