"""What the verbs that build have in common: the project's argument, and the line up to a receipt."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from modelcrate import outputs, pipeline
from modelcrate.cli.console import Console
from modelcrate.outputs import Output, archive
from modelcrate.outputs.docker_archive import DockerArchiveOutput
from modelcrate.outputs.store import StoreOutput
from modelcrate.pack import Sink
from modelcrate.pipeline import Prepared
from modelcrate.receipt import Receipt
from modelcrate.registry.fetch import Fetcher
from modelcrate_layers.errors import UserError


def project_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "project", nargs="?", default=".", type=Path, help="a folder, or a project file (default: this folder)"
    )


def output_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        action="append",
        default=[],
        metavar="KIND:TARGET",
        help="where the image goes; may be given several times",
    )
    parser.add_argument("--push", action="append", default=[], metavar="REF", help="short for -o registry:REF")
    parser.add_argument(
        "--locked", action="store_true", help="build what modelcrate.lock says, or fail and say how it differs"
    )


def prepare(args: argparse.Namespace, console: Console, fetcher: Fetcher) -> Prepared:
    request = pipeline.read(args.project, console.emit)
    request = pipeline.Request(request.project, request.folder, getattr(args, "locked", False))
    return pipeline.prepare(request, console.settings, fetcher, console.emit)


def build(args: argparse.Namespace, console: Console) -> Receipt:
    """The line from the project to the outputs that were named; the local store, if there are none."""
    wanted = [outputs.parse(text) for text in (*args.output, *(f"registry:{ref}" for ref in args.push))]
    _check_streams(wanted, args)
    settings, emit = console.settings, console.emit
    with ExitStack() as stack:
        fetcher = stack.enter_context(Fetcher(settings.network, emit))
        prepared = prepare(args, console, fetcher)
        name = prepared.request.project.name
        named = [_named(output, name) for output in wanted] or [StoreOutput(name)]
        places = [stack.enter_context(outputs.opened(output, settings, emit)) for output in named]
        takers = [place for place in places if isinstance(place, Sink)]
        receipt = pipeline.build(prepared, settings, emit, takers[0] if len(places) == 1 and takers else None)
        return pipeline.deliver(receipt, places, settings, emit)


def _check_streams(wanted: Sequence[Output], args: argparse.Namespace) -> None:
    """Standard output takes one thing: an archive, or the result."""
    taking = [output for output in wanted if archive.streams(output.kind, output.target)]
    if len(taking) > 1 or (taking and args.json):
        raise UserError(
            "two things can't share standard output",
            why=", ".join([f"{each.kind}:{each.target}" for each in taking] + ["--json"] * args.json),
            hint="write one of them to a file",
        )
    if taking and sys.stdout.isatty():
        raise UserError("an archive is not for a terminal", hint="send it on: ... | docker load, or name a file")


def _named(output: Output, name: str) -> Output:
    return output.named(name) if isinstance(output, DockerArchiveOutput) else output
