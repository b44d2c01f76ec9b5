"""The files into which `build` writes what other steps of a pipeline ask for: the digest, and the references by digest.

No result takes the place of another one, of an output, or of what the build reads.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator
from pathlib import Path

from modelcrate.pipeline.receipt import Receipt
from modelcrate.pipeline.request import Request
from modelcrate.project.values import Model
from modelcrate.transports import NESTED
from modelcrate_layers.errors import UserError
from modelcrate_layers.patterns import compile_later
from modelcrate_layers.store import as_machine_error

_EARLIER = {
    "digest_file": compile_later(rb"sha256:[0-9a-f]{64}\s*"),
    "reference_file": compile_later(rb"(?:\S+@sha256:[0-9a-f]{64}\s*)+"),
    "report": compile_later(
        rb'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy".*',
        re.DOTALL,
    ),
    "trace": compile_later(rb'\{\s*"displayTimeUnit".*', re.DOTALL),
}
"""What an earlier build has written for each option. It may be replaced in a project's folder; any other file there may be a source."""

_LAYOUT = ("index.json", "oci-layout", "blobs")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options for files with results."""
    parser.add_argument(
        "--digest-file", type=Path, metavar="FILE", help="write the digest of the image to FILE, without a line end"
    )
    parser.add_argument(
        "--reference-file",
        type=Path,
        metavar="FILE",
        help="write HOST/REPOSITORY@DIGEST to FILE, a line for each --push",
    )


def check(args: argparse.Namespace) -> None:
    """Refuses files that could not be written, before anything is built.

    Raises:
        UserError: A file's folder is missing, it is something else than a file, it is named for something else, too, or nothing is pushed
            that a reference could name.
    """
    wanted = [each for each in (args.digest_file, args.reference_file) if each is not None]
    if wanted and args.each is not None:
        raise UserError(
            f"{wanted[0]} can't have the results of several projects",
            hint="with --each, read the list that --json prints",
        )
    if (
        args.reference_file is not None
        and not args.push
        and not any(each.startswith("registry:") for each in args.output)
    ):
        raise UserError(
            "--reference-file has nothing to name", why="no --push", hint="name a registry, or use --digest-file"
        )
    for each in wanted:
        if not each.parent.is_dir():
            raise UserError(
                "is no folder", where=str(each.parent), hint=f"make it first; {each.name} is written into it"
            )
        if each.exists() and not each.is_file():
            raise UserError("is no regular file", where=str(each), hint="name a file that may be replaced")
    taken = {place: f"-o {text}" for text in args.output for place in _places_of_output(text)}
    named = {"--sign": args.sign, "--policy": args.policy, "--each": args.each}
    taken |= {os.path.realpath(path): option for option, path in named.items() if path}
    for name, path in _results(args):
        for place in _places(path):
            above = next((each for each in (place, *_folders_of_layout(place)) if each in taken), None)
            if above is not None:
                raise UserError(
                    f"{_option(name)} would replace what {taken[above]} names", where=str(path), hint=_OTHER_FILE
                )
        taken |= dict.fromkeys(_places(path), _option(name))


def check_inputs(args: argparse.Namespace, request: Request) -> None:
    """Refuses files for results that the build reads: what is in the project's folder, unless an earlier build wrote it, and models.

    Raises:
        UserError: One is such a file.
    """
    folder = os.path.realpath(request.folder)
    models = [
        os.path.realpath(request.folder / each.path) for each in request.project.models if isinstance(each, Model)
    ]
    for name, path in _results(args):
        for place in filter(os.path.lexists, _places(path)):
            read = any(_is_within(place, each) for each in models)
            if read or (_is_within(place, folder) and not _is_earlier(name, path)):
                raise UserError(
                    f"{_option(name)} would replace a file of the project", where=str(path), hint=_OTHER_FILE
                )


_OTHER_FILE = "name another file"


def _results(args: argparse.Namespace) -> Iterator[tuple[str, Path]]:
    """Yields the options for results that were given, and their files."""
    for name in _EARLIER:
        if (path := getattr(args, name, None)) is not None:
            yield name, path


def _is_earlier(name: str, path: Path) -> bool:
    """Returns whether a file is the result of an earlier build for an option, by its first bytes."""
    if not path.is_file():
        return False
    with as_machine_error(path, "can't be read"), path.open("rb") as file:
        return _EARLIER[name].fullmatch(file.read(1 << 20)) is not None


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _places(path: Path) -> tuple[str, ...]:
    """Returns where a path leads, and where it is itself if it is a link: that is what is replaced."""
    itself = os.path.join(os.path.realpath(path.parent), path.name)
    return tuple(dict.fromkeys((os.path.realpath(path), itself)))


def _places_of_output(text: str) -> Iterator[str]:
    """Yields the paths that an output KIND:TARGET may mean: its target with a tag or a name, and without."""
    kind, _, target = text.partition(":")
    if kind in NESTED:
        kind, _, target = target.partition(":")
    if kind == "oci" or kind.endswith("-archive"):
        words = target.split(":")
        for count in range(1, len(words) + 1):
            yield os.path.realpath(":".join(words[:count]))


def _folders_of_layout(place: str) -> Iterator[str]:
    """Yields the folders that have a file among what an OCI layout there would have."""
    path = Path(place)
    yield from (str(above) for above in path.parents if path.relative_to(above).parts[0] in _LAYOUT)


def _is_within(place: str, above: str) -> bool:
    return Path(place).is_relative_to(above)


def write(args: argparse.Namespace, receipt: Receipt) -> None:
    """Writes the files that were asked for."""
    if args.digest_file is None and args.reference_file is None:
        return
    from modelcrate.reports.files import write_file

    if args.digest_file is not None:
        write_file(args.digest_file, str(receipt.image.digest).encode())
    if args.reference_file is not None:
        write_file(args.reference_file, "".join(f"{each}\n" for each in receipt.references).encode())
