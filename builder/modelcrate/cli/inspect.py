"""Show an image: its digest, platforms, settings and layers.

Its address is a name in the local store, a registry reference, oci:DIR[:TAG], oci-archive:FILE or docker-archive:FILE.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from modelcrate.cli.console import Console
from modelcrate.cli.page_files import write_page
from modelcrate.cli.variant_option import variant_argument
from modelcrate.images.image import Image
from modelcrate.render.text import image_text
from modelcrate.reports.files import check_target
from modelcrate_layers.content import Platform


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE", help="the image's address")
    parser.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="write a page with a map of what takes the room, what decided each layer, and what is known of the contents; layers are fetched",
    )
    parser.add_argument("--platform", help="the platform in images for several, such as linux/arm64")
    variant_argument(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.transports.addresses import find

    if args.html is not None:
        check_target(args.html)
    found = find(args.image, console.connections)
    image = found.read()
    if args.platform:
        image = found.image(Platform.parse(args.platform), args.variant)
    elif args.variant:
        image = found.variant(args.variant)
    if args.html is not None:
        from modelcrate.reports.pages import page_of_found

        page = page_of_found(args.image, found, image, console.config, console.emit)
        return write_page(page, args.html, str(image.digest), console)
    facts: dict[str, Any] = {
        "image": args.image,
        "digest": str(image.digest),
        "images": [_facts(each) for each in image.images],
    }
    console.print_result(facts, image_text(args.image, image))
    return 0


def _facts(image: Image) -> dict[str, Any]:
    from modelcrate_layers.content import parse_object

    return {
        "digest": str(image.digest),
        "id": str(image.id),
        "platform": str(image.platform),
        **({"variant": image.variant} if image.variant else {}),
        "config": image.settings,
        "manifest": parse_object(image.manifest.data),
    }
