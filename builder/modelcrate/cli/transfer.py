"""The common part of the commands that transfer images from an address to an output."""

from __future__ import annotations

import argparse

from modelcrate import transports
from modelcrate.cli.console import Console
from modelcrate.cli.variant_option import variant_argument
from modelcrate.images.image import Deliverable
from modelcrate.images.reading import Found
from modelcrate.images.reference import Reference
from modelcrate.render.text import counted, receipt_text
from modelcrate.transports.addresses import find
from modelcrate.transports.connections import Connections
from modelcrate.transports.output import NameableOutput
from modelcrate_layers.content import Platform
from modelcrate_layers.frozen import replace


def platform_argument(parser: argparse.ArgumentParser) -> None:
    """Adds the options for one platform, and for one variant."""
    parser.add_argument("--platform", type=Platform.parse, metavar="OS/ARCH", help="only the image for this platform")
    variant_argument(parser, "only the image")


def move(source: str | Reference, target: str, args: argparse.Namespace, console: Console) -> int:
    """Writes the image at an address to an output, and prints the receipt. Returns the exit code."""
    output = transports.parse(target)
    if isinstance(source, str) and source.startswith("registry:"):
        source = Reference.parse(source.removeprefix("registry:"))
    if isinstance(output, NameableOutput) and isinstance(source, Reference):
        output = output.with_name(str(source).partition("@")[0])
    with console.session() as session:
        found = find(source, session.connections)
        image = chosen(found, args.platform, args.variant)
        receipt = session.copy(str(source), image, [output])
        if image.digest != found.descriptor.digest and is_unsigned_whole(image):
            console.print_message(
                f"{image.digest} is a new index, and not signed: what is signed are its images. modelcrate sign {target} --key KEY"
            )
        if getattr(args, "referrers", False):
            _referrers(replace(found, descriptor=image.descriptor), target, session.connections, console)
    console.print_result(receipt.json(), receipt_text(receipt))
    return 0


def is_unsigned_whole(image: Deliverable) -> bool:
    """Returns whether nothing beside an index signs it, but something signs its images."""
    from modelcrate.security.signing.statements import BUNDLES

    signed = {each.subject for each in image.graph().attached if each.kind in BUNDLES}
    return bool(signed) and image.digest not in signed


def chosen(found: Found, platform: Platform | None, variant: str = "") -> Deliverable:
    """Returns the image for a platform and of a variant, or all that was found, with what is beside it."""
    if platform is not None:
        return found.part(found.image(platform, variant))
    return found.part(found.variant(variant)) if variant else found.copy()


def _referrers(found: Found, target: str, connections: Connections, console: Console) -> None:
    from modelcrate.transports.registry import copy_referrers

    count = copy_referrers(found, target, connections)
    console.print_message(f"{counted(count, 'referrer')} copied")
