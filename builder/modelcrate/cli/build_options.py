"""What the verbs that build have in common: the project's argument, and the line up to a receipt."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from modelcrate import transports
from modelcrate.cli import attestation_options
from modelcrate.cli.console import Console
from modelcrate.home.home_lock import shared_home_lock
from modelcrate.home.settings import Settings
from modelcrate.net.download import Downloader
from modelcrate.pipeline import session
from modelcrate.pipeline.hash_tee import HashTee
from modelcrate.pipeline.pack import Discard, EarlyUpload, PackTargets, Sink
from modelcrate.pipeline.receipt import Receipt
from modelcrate.pipeline.session import Prepared
from modelcrate.transports import NameableOutput, Output, PreparedOutput, archive_writer, store_reader
from modelcrate.transports.store import StoreOutput
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
        "-t", "--tag", action="append", default=[], metavar="NAME[:TAG]", help="short for -o store:NAME"
    )
    attestation_options.arguments(parser)
    parser.add_argument(
        "--locked", action="store_true", help="build what modelcrate.resolve.lock says, or fail and say how it differs"
    )
    reuse_arguments(parser)


def reuse_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cache-from", action="append", default=[], metavar="IMAGE", help="an image whose layers may be taken over"
    )
    parser.add_argument(
        "--no-reuse", action="store_true", help="take no layer from any image, not even the pushed tag's"
    )
    parser.add_argument("--paranoid", action="store_true", help="read every file, remember nothing, believe no key")


def fleet_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("many projects")
    group.add_argument(
        "--each",
        type=Path,
        metavar="FILE",
        help="build the folders that a file lists; {name} in -o and --push is each one's name",
    )
    group.add_argument("--jobs", type=int, default=4, metavar="N", help="how many at once (default: 4)")
    group.add_argument("--dask", metavar="ADDRESS", help="on the workers of a Dask cluster, such as tcp://HOST:8786")


def prepare(args: argparse.Namespace, console: Console, fetcher: Downloader, policy: Path | None = None) -> Prepared:
    """The line up to the plan. What the project's name or a push's tag names already is looked at for layers."""
    request = session.read(args.project, console.settings, console.emit)
    reuse = _reuse(args, request.project.name, console.settings)
    request = replace(request, locked=args.locked, reuse=reuse, paranoid=args.paranoid)
    settings = replace(console.settings, policy=policy)
    return session.prepare(request, settings, fetcher, console.emit)


def pushed(args: argparse.Namespace) -> tuple[str, ...]:
    """The references that are pushed to."""
    return (*args.push, *(text.removeprefix("registry:") for text in args.output if text.startswith("registry:")))


def _reuse(args: argparse.Namespace, name: str, settings: Settings) -> tuple[str, ...]:
    """What is pushed to, what --cache-from names, and, where nothing is pushed, what the local store has under the project's name."""
    if args.no_reuse:
        return ()
    named = (*(f"registry:{ref}" for ref in pushed(args)), *args.cache_from)
    return named if pushed(args) or store_reader.find(name, settings) is None else (*named, name)


def build(args: argparse.Namespace, console: Console) -> Receipt:
    """The line from the project to the outputs that were named; the local store, if there are none."""
    wanted = [transports.parse(text) for text in _wanted(args)]
    _check_streams(wanted, args)
    emit, begun = console.emit, datetime.now(UTC)
    with ExitStack() as stack:
        stack.enter_context(shared_home_lock(console.settings))
        if pushed(args):  # what is looked up there and what is sent go over the same connections
            client = stack.enter_context(console.settings.registry())
            console = replace(console, settings=replace(console.settings, client=client))
        settings = console.settings
        fetcher = stack.enter_context(Downloader(settings.network, emit))
        prepared = prepare(args, console, fetcher, args.policy)
        name = prepared.request.project.name
        named = [with_prepared(_named(output, name), prepared) for output in wanted] or [StoreOutput(name)]
        places = [stack.enter_context(transports.opened(output, settings, emit)) for output in named]
        hashes = HashTee()
        sinks = _sinks(places, hashes if attestation_options.wants_sbom(args, pushed(args)) else None)
        receipt = session.build(prepared, settings, emit, sinks)
        receipt = attestation_options.attest(args, pushed(args), prepared, receipt, hashes.found, settings, begun)
        return session.deliver(receipt, places, settings, emit)


def _sinks(places: Sequence[Output], hashes: HashTee | None) -> PackTargets:
    """Where the bytes of the build go: to its output as they come, if there is but one, and it takes them so."""
    only = places[0] if len(places) == 1 else None
    models = only if isinstance(only, Sink) else Discard()
    return PackTargets(models, ahead=only if isinstance(only, EarlyUpload) else None, hashes=hashes)


def _check_streams(wanted: Sequence[Output], args: argparse.Namespace) -> None:
    """Standard output takes one thing: an archive, or the result."""
    taking = [output for output in wanted if archive_writer.streams(output.kind, output.target)]
    if len(taking) > 1 or (taking and args.json):
        raise UserError(
            "two things can't share standard output",
            why=", ".join([f"{each.kind}:{each.target}" for each in taking] + ["--json"] * args.json),
            hint="write one of them to a file",
        )
    if taking and sys.stdout.isatty():
        raise UserError("an archive is not for a terminal", hint="send it on: ... | docker load, or name a file")


def _wanted(args: argparse.Namespace) -> list[str]:
    """The outputs that were named, spelt out."""
    return [*args.output, *(f"registry:{ref}" for ref in args.push), *(f"store:{name}" for name in args.tag)]


def with_prepared(output: Output, prepared: Prepared) -> Output:
    """An output that takes more than an image is told where the image comes from."""
    return output.prepared(prepared) if isinstance(output, PreparedOutput) else output


def _named(output: Output, name: str) -> Output:
    """An output that can carry the image's name, and was given none, carries the project's."""
    return output.named(name) if isinstance(output, NameableOutput) else output
