"""Push an image to one or more repositories of registries. Layers that a registry has already are not sent again."""

from __future__ import annotations

import argparse

from modelcrate.cli.console import Console
from modelcrate.images.reference import Reference
from modelcrate.render.text import receipt_text


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "image",
        metavar="IMAGE",
        help="the image's address: a name in the local store, oci:DIR, an archive, a reference",
    )
    parser.add_argument(
        "references",
        nargs="+",
        type=Reference.parse,
        metavar="REF",
        help="the target: HOST/REPOSITORY[:TAG] (without a tag: latest)",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.transports.addresses import find
    from modelcrate.transports.registry import RegistryOutput

    with console.session() as session:
        image = find(args.image, session.connections).copy()
        receipt = session.copy(args.image, image, [RegistryOutput.of(each) for each in args.references])
    console.print_result(receipt.json(), receipt_text(receipt))
    return 0
