"""What the verbs that build have in common: the project's argument, and the line up to a receipt."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from modelcrate import outputs, pipeline
from modelcrate.cli.console import Console
from modelcrate.cli.passwords import password_of
from modelcrate.events import Emit
from modelcrate.outputs import Output
from modelcrate.outputs.docker_archive import DockerArchiveOutput
from modelcrate.outputs.store import StoreOutput
from modelcrate.pack import Sink
from modelcrate.pipeline import Prepared
from modelcrate.receipt import Receipt
from modelcrate.registry.fetch import Fetcher
from modelcrate.settings import Settings


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
        "--sbom",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="put bills of materials beside the image (default: when it is pushed)",
    )
    parser.add_argument("--provenance", action="store_true", help="put beside it how it was built")
    parser.add_argument("--sign", metavar="KEY", help="sign the image and all that is said about it; see sign --key")
    parser.add_argument(
        "--policy", type=Path, metavar="FILE", help="hold the base to a policy before anything is built"
    )
    parser.add_argument(
        "--locked", action="store_true", help="build what modelcrate.lock says, or fail and say how it differs"
    )


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line wants to be said about an image."""

    key: str | None
    sbom: bool
    provenance: bool
    place: str
    password: str | None = field(repr=False)


def prepare(args: argparse.Namespace, settings: Settings, emit: Emit, fetcher: Fetcher) -> Prepared:
    request = pipeline.read(args.project, emit)
    request = pipeline.Request(request.project, request.folder, getattr(args, "locked", False))
    return pipeline.prepare(request, settings, fetcher, emit)


def build(args: argparse.Namespace, console: Console) -> Receipt:
    """The line from the project to the outputs that were named; the local store, if there are none."""
    wanted = [outputs.parse(text) for text in (*args.output, *(f"registry:{ref}" for ref in args.push))]
    settings, emit = console.settings, console.emit
    settings = replace(settings, policy=args.policy) if args.policy else settings
    wish = _wish(args, wanted, settings)
    begun = datetime.now(UTC)
    with ExitStack() as stack:
        fetcher = stack.enter_context(Fetcher(settings.network, emit))
        prepared = prepare(args, settings, emit, fetcher)
        name = prepared.request.project.name
        named = [_named(output, name) for output in wanted] or [StoreOutput(name)]
        places = [stack.enter_context(outputs.opened(output, settings, emit)) for output in named]
        takers = [place for place in places if isinstance(place, Sink)]
        receipt = pipeline.build(prepared, settings, emit, takers[0] if len(places) == 1 and takers else None)
        return pipeline.deliver(_attested(prepared, receipt, wish, settings, begun), places, settings, emit)


def _wish(args: argparse.Namespace, wanted: Sequence[Output], settings: Settings) -> Wish:
    """What is to be said about the image: bills of materials go along with a push, unless they are not wanted."""
    pushed = [each.target for each in wanted if each.kind == "registry"]
    sbom = bool(pushed) if args.sbom is None else args.sbom
    return Wish(
        args.sign,
        sbom,
        args.provenance,
        pushed[0] if pushed else "",
        password_of(args.sign, settings.environment) if args.sign else None,
    )


def _attested(prepared: Prepared, receipt: Receipt, wish: Wish, settings: Settings, begun: datetime) -> Receipt:
    if not (wish.sbom or wish.provenance or wish.key):
        return receipt
    from modelcrate.trust.attesting import Wanted, attest
    from modelcrate.trust.keys import load_signer
    from modelcrate.trust.naming import identity

    signer = load_signer(wish.key, wish.password) if wish.key else None
    wanted = Wanted(identity(wish.place or receipt.name), wish.sbom, wish.provenance, signer)
    return attest(prepared, receipt, wanted, settings, begun)


def _named(output: Output, name: str) -> Output:
    return output.named(name) if isinstance(output, DockerArchiveOutput) else output
