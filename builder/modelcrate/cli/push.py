"""Send an image to one or more places in registries. What a registry has already is not sent again."""

from __future__ import annotations

import argparse

from modelcrate.cli.console import Console
from modelcrate.pipeline import session
from modelcrate.render import receipt_text


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "image", help="the image's address: a name in the local store, oci:DIR, an archive, a reference"
    )
    parser.add_argument("references", nargs="+", metavar="REF", help="where to: HOST/REPOSITORY[:TAG]")


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate import transports
    from modelcrate.home.home_lock import shared_home_lock
    from modelcrate.pipeline.receipt import Receipt
    from modelcrate.transports.addresses import find

    image = find(args.image, console.settings).copy()
    places = [transports.parse(f"registry:{reference}") for reference in args.references]
    with shared_home_lock(console.settings):
        receipt = session.deliver(Receipt(args.image, image), places, console.settings, console.emit)
    console.result(receipt.json(), receipt_text(receipt))
    return 0
