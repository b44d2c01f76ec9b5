"""Put an image onto another base, after a proof that it runs there. No layer of the image changes, and none is made.

    modelcrate rebase registry.example/team/sums:1 --onto registry.example/base/python:3.11

Both bases are read once on a machine. An image that would not run on the new base is refused, with each library or version that it lacks. The
result replaces the image under its name, unless -o names another place. --all does this for every image of the repositories whose names fit, if it
has an earlier base of the same name.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from modelcrate.cli import attestation_options
from modelcrate.cli.console import Console
from modelcrate.cli.variant_option import variant_argument
from modelcrate.render.text import format_table
from modelcrate_layers.errors import UserError

if TYPE_CHECKING:
    from modelcrate.images.image import Image, Index
    from modelcrate.images.reading import Found


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "image", metavar="IMAGE", help="the image; with --all HOST/PATTERN, such as 'registry.example/team/*'"
    )
    parser.add_argument("--onto", required=True, metavar="BASE", help="the address of the new base")
    parser.add_argument(
        "-o",
        "--output",
        default="",
        metavar="KIND:TARGET",
        help="where to write it (default: in the place of the image)",
    )
    variant_argument(parser, "move only the image")
    parser.add_argument("--all", action="store_true", help="all images of the repositories that fit the pattern")
    attestation_options.change_arguments(parser)
    parser.add_argument("--check", action="store_true", help="only say whether it would run there")


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.maintenance.fleet import rebase_all
    from modelcrate.maintenance.rebase import NewBase, rebase
    from modelcrate.pipeline.attest_changed import attest_changed
    from modelcrate.security.signing.naming import image_identity
    from modelcrate.transports.addresses import find, output_for

    options = attestation_options.read(args, console.config)

    def attest(made: Image | Index, before: Found, name: str) -> Image | Index:
        return attest_changed(made, before, image_identity(name), console.config, options)

    base = NewBase.at(args.onto, console.connections)
    if args.all:
        if args.variant:
            raise UserError("--all moves what is on an earlier base", hint="leave --variant out, or name one image")
        if args.output:
            raise UserError("--all replaces each image in its place", hint="leave -o out, or name one image")
        outcomes = rebase_all(args.image, base, console.connections, console.emit, attest, check=args.check)
        rows = [(each.name, each.what) for each in outcomes]
        console.print_result([{"image": name, "result": what} for name, what in rows], format_table(rows))
        return max((each.exit_code for each in outcomes), default=0)
    found = find(args.image, console.connections)
    done = rebase(found, base, console.connections, console.emit, list(filter(None, [args.variant])))
    for text in done.notices:
        console.print_message(text)
    facts = {"image": args.image, "digest": str(done.image.digest), "onto": base.name}
    if args.check:
        console.print_result(facts, f"{args.image} runs on {base.name}")
        return 0
    output = output_for(args.image, args.output)
    delivered = output.deliver(attest(done.image, found, output.target), console.connections, console.emit)
    facts |= {"target": delivered.target, "sent": delivered.sent}
    console.print_result(facts, f"{delivered.target}  {done.image.digest}  on {base.name}")
    if not args.sign:
        console.print_message("signatures of the old image are not about this one: --sign KEY, or modelcrate sign")
    return 0
