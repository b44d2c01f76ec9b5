"""Copy an image from any address to any output, byte for byte.

From registry to registry nothing is written to the disk. Within one registry, layers are mounted instead of sent where possible.
"""

from __future__ import annotations

import argparse

from modelcrate.cli import transfer
from modelcrate.cli.console import Console


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        metavar="IMAGE",
        help="the image's address: a name in the local store, registry:REF, oci:DIR, an archive",
    )
    parser.add_argument(
        "target", metavar="KIND:TARGET", help="the output: registry:REF, oci:DIR[:TAG], oci-archive:FILE, ..."
    )
    parser.add_argument(
        "--referrers", action="store_true", help="copy its referrers too: signatures, bills of materials"
    )
    transfer.platform_argument(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    return transfer.move(args.source, args.target, args, console)
