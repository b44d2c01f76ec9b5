"""Print the digest of an image. From a registry, only the headers of the manifest are fetched."""

from __future__ import annotations

import argparse

from modelcrate.cli.console import Console
from modelcrate.cli.transfer import platform_argument


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE", help="the image's address")
    platform_argument(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.images.manifests import select
    from modelcrate.transports.addresses import find

    found = find(args.image, console.connections)
    if args.platform is not None:
        descriptor = select(found.collection, found.descriptor, args.platform, args.variant)
    else:
        descriptor = found.variant(args.variant).descriptor if args.variant else found.descriptor
    facts = {"mediaType": descriptor.media_type, "digest": str(descriptor.digest), "size": descriptor.size}
    console.print_result({"image": args.image, **facts}, str(descriptor.digest))
    return 0
