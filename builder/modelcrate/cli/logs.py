"""Print what a container has written to its standard output and standard error."""

from __future__ import annotations

import argparse
import sys

from modelcrate.cli.console import Console


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="the container's name")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the container ends")


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.containers import find

    for piece in find(console.config.containers, args.name).logs(args.follow):
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    return 0
