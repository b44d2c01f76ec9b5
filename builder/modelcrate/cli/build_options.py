"""The options of the commands that build, and the build request that they define."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from modelcrate import transports
from modelcrate.arguments import as_path
from modelcrate.cli import attestation_options, result_files
from modelcrate.cli.console import Console
from modelcrate.events import Emit
from modelcrate.images.reference import Reference
from modelcrate.pipeline.request import Request
from modelcrate.pipeline.session import Build, Session
from modelcrate.project.byte_sizes import parse_size
from modelcrate.transports import is_stdout, store
from modelcrate.transports.output import Output
from modelcrate.transports.store import StoreOutput
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import replace


def project_argument(parser: argparse.ArgumentParser) -> None:
    """Adds the argument for the project."""
    parser.add_argument(
        "project",
        nargs="?",
        default=".",
        type=partial(as_path, "PROJECT"),
        help="a folder, or a project file (default: this folder)",
    )


def output_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options for outputs, artifacts, the lock and reuse."""
    parser.add_argument(
        "-o",
        "--output",
        action="append",
        default=[],
        metavar="KIND:TARGET",
        help="write the image to KIND:TARGET, such as oci:DIR or docker-archive:FILE; may be given several times",
    )
    parser.add_argument(
        "--push",
        action="append",
        default=[],
        type=_pushed,
        metavar="REF",
        help="push to HOST/REPOSITORY[:TAG] (without a tag: latest)",
    )
    parser.add_argument(
        "-t", "--tag", action="append", default=[], metavar="NAME[:TAG]", help="short for -o store:NAME"
    )
    attestation_options.arguments(parser)
    parser.add_argument(
        "--locked", action="store_true", help="build exactly what modelcrate.lock pins; fail if it does not fit"
    )
    parser.add_argument(
        "--max-size",
        type=parse_size,
        metavar="SIZE",
        help="refuse an image of more than SIZE, such as 2GB; before anything is fetched, where sizes are known",
    )
    parser.add_argument(
        "--variant",
        default="",
        metavar="NAME",
        help="build this variant of the project alone, such as gpu, or `default`: the project without variants",
    )
    reuse_arguments(parser)


def growth_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options for the growth of layers."""
    parser.add_argument(
        "--max-layer-growth",
        type=parse_size,
        metavar="SIZE",
        help="refuse an image with a layer that is larger by more than SIZE, such as 50MB, than in the image that the target has",
    )
    parser.add_argument(
        "--against",
        metavar="IMAGE",
        help="measure growth against this image instead, and compare with it in the report",
    )


def reuse_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options for reusing layers."""
    parser.add_argument(
        "--cache-from", action="append", default=[], metavar="IMAGE", help="an image whose layers may be reused"
    )
    parser.add_argument(
        "--share-layers",
        type=_list_place,
        metavar="REPOSITORY",
        help="take layers of packages that the signed list in HOST/REPOSITORY names, and add those of this image to it; "
        "the list counts by --sign or --policy",
    )
    parser.add_argument(
        "--no-reuse", action="store_true", help="reuse no layer of any image, not even of the pushed tag"
    )
    parser.add_argument("--paranoid", action="store_true", help="read every file and use no cached result")


def batch_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options for building many projects."""
    group = parser.add_argument_group("many projects")
    group.add_argument(
        "--each",
        type=Path,
        metavar="FILE",
        help="build all folders that a file lists; {name} in -o and --push is the project's name",
    )
    group.add_argument("--jobs", type=int, default=4, metavar="N", help="projects to build at once (default: 4)")
    group.add_argument("--dask", metavar="ADDRESS", help="build on a Dask cluster, such as tcp://HOST:8786")


def read_request(args: argparse.Namespace, console: Console, session: Session) -> Request:
    """Returns the request of a command line: the project and the options."""
    request = session.read(args.project).for_variant(args.variant)
    return replace(
        request,
        outputs=_outputs(args),
        locked=args.locked,
        reuse=not args.no_reuse,
        cache_from=tuple(args.cache_from),
        share_layers=args.share_layers,
        paranoid=args.paranoid,
        attestations=attestation_options.read(args, console.config),
        policy=args.policy,
        max_size=args.max_size,
        test=getattr(args, "test", False),
        max_layer_growth=getattr(args, "max_layer_growth", None),
        against=getattr(args, "against", None) or "",
    )


def build(args: argparse.Namespace, console: Console, emit: Emit | None = None) -> Build:
    """Builds the project, and writes its image to the named outputs, by default to the local store.

    Args:
        args: The options.
        console: The console.
        emit: Gets the events in place of the console.
    """
    _check_streams(_outputs(args), args)
    with console.session(emit) as session:
        request = read_request(args, console, session)
        result_files.check_inputs(args, request)
        if request.against and request.growth_limit is None and args.report is None:
            raise UserError(
                "there is nothing to hold against the image of --against",
                hint="--max-layer-growth SIZE refuses what has grown by more, --report FILE compares",
            )
        return session.build(replace(request, outputs=request.outputs or (StoreOutput(request.usual_name),)))


def _list_place(text: str) -> Reference:
    from modelcrate.images.layer_list import place_of

    return place_of(text)


def _pushed(text: str) -> Reference | str:
    """Returns the reference of `--push`. One with `{name}` stays a text until a project's name is known."""
    reference = Reference.parse(text.replace("{name}", "name"))
    return text if "{name}" in text else reference


def _outputs(args: argparse.Namespace) -> tuple[Output, ...]:
    """Returns the named outputs."""
    named = [transports.parse(text) for text in args.output]
    if args.push:
        from modelcrate.transports.registry import RegistryOutput

        for each in args.push:
            if not isinstance(each, Reference):
                raise UserError(f"{each!r} has no project to take a name from", hint="{name} belongs to --each")
            named.append(RegistryOutput.of(each))
    return (*named, *map(store.parse, args.tag))


def _check_streams(wanted: Sequence[Output], args: argparse.Namespace) -> None:
    """Raises a UserError if both an archive and the result would go to standard output."""
    taking = [output for output in wanted if is_stdout(output.kind, output.target)]
    if len(taking) > 1 or (taking and args.json):
        raise UserError(
            "two things can't share standard output",
            why=", ".join([f"{each.kind}:{each.target}" for each in taking] + ["--json"] * args.json),
            hint="write one of them to a file",
        )
    if taking and sys.stdout.isatty():
        raise UserError("an archive can't go to a terminal", hint="pipe it: ... | docker load, or name a file")
