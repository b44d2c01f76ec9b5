"""Start a container again that has ended, with the image and the options that it was run with.

The root folder is that of the image again, except where the container was run with --keep.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from modelcrate.cli.console import Console
from modelcrate.cli.run import foreground, report
from modelcrate_layers.errors import SourceError, UserError

if TYPE_CHECKING:
    from modelcrate.containers import Container
    from modelcrate_layers.content import Blob


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="CONTAINER", help="the container's name")
    parser.add_argument("-a", "--attach", action="store_true", help="stay in the foreground, with its output")


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.containers import find, start_again
    from modelcrate.home.home_lock import shared_home_lock

    container = find(console.config.containers, args.name)
    with shared_home_lock(console.config):
        layers = () if (container.folder / "rootfs").is_dir() else _layers(container, console)
        before = container.log_offset(tail=0)
        start_again(container, layers)
    if args.attach:
        return foreground(container, console, start=before)
    return report(container, console, None, waits=True)


def _layers(container: Container, console: Console) -> list[Blob]:
    """The layers of the very image that the container was made of."""
    from modelcrate.transports.addresses import find

    options = container.spec().options
    for address in (options.digest, options.image):
        try:
            found = find(address, console.connections)
        except SourceError:
            continue
        for descriptor in found.members() or (found.descriptor,):
            if str(descriptor.digest) == options.digest:
                image = type(found)(found.collection, descriptor).image()
                return [layer.blob for layer in image.layers]
    raise UserError(
        f"the image of the container {container.name} is not to be had any more: {options.image}",
        why=f"it was {options.digest}",
        hint="run the image that is there now",
    )
