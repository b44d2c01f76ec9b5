"""Build the image of a project and put it somewhere: into the local store, or wherever -o and --push say.

Without a project file the folder is looked through: an entry script with init and run, requirements, models."""

from __future__ import annotations

import argparse

from modelcrate.cli import building
from modelcrate.cli.console import Console
from modelcrate.render import receipt_text
from modelcrate.transports import archive_writer


def arguments(parser: argparse.ArgumentParser) -> None:
    building.project_argument(parser)
    building.output_arguments(parser)
    building.fleet_arguments(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    if args.each is not None:
        from modelcrate.cli.fleet import build_each

        return build_each(args, console)
    receipt = building.build(args, console)
    if any(archive_writer.streams(each.kind, each.target) for each in receipt.outputs):  # standard output is taken
        console.say(receipt_text(receipt))
    else:
        console.result(receipt.json(), receipt_text(receipt))
    return 0
