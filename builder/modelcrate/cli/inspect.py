"""Show an image: its digest, platforms, settings and layers.

Its address is a name in the local store, a registry reference, oci:DIR[:TAG], oci-archive:FILE or docker-archive:FILE.
"""

from __future__ import annotations

import argparse
from typing import Any

from modelcrate.cli.console import Console
from modelcrate.images.image import Image
from modelcrate.render.text import image_text


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE", help="the image's address")


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.transports.addresses import find

    image = find(args.image, console.connections).read()
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
        "config": image.settings,
        "manifest": parse_object(image.manifest.data),
    }
