"""Show the inputs of every layer of an image. With a second image, show which layers changed, and because of which inputs.

The inputs are listed in annotations, so no layer is fetched.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict

from modelcrate.cli.console import Console
from modelcrate.cli.variant_option import variant_argument
from modelcrate.render.text import format_table


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE", help="the image's address")
    parser.add_argument("other", nargs="?", metavar="IMAGE", help="the address of a newer image to compare with")
    parser.add_argument("--platform", help="the platform in images for several, such as linux/arm64")
    variant_argument(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.inspect.explain import explain
    from modelcrate.transports.addresses import find
    from modelcrate_layers.content import Platform

    platform = Platform.parse(args.platform) if args.platform else None
    first = find(args.image, console.connections).image(platform, args.variant)
    second = find(args.other, console.connections).image(platform, args.variant) if args.other else None
    lines = explain(None, first) if second is None else explain(first, second)
    rows = [(line.role, line.name, line.state, line.cause) for line in lines]
    facts = {"image": args.image, "other": args.other, "layers": [asdict(line) for line in lines]}
    console.print_result(facts, format_table(rows))
    return 0
