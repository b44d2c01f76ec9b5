"""Remove containers that have ended, with their logs; with --force those that run too."""

from __future__ import annotations

import argparse

from modelcrate.cli.console import Console


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="+", metavar="CONTAINER", help="containers by name")
    parser.add_argument("-f", "--force", action="store_true", help="end those that run, at once")


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.containers import find

    for container in [find(console.config.containers, name) for name in args.names]:
        if args.force:
            container.stop(timeout=0)
        container.remove()
    console.print_result(args.names, "\n".join(args.names))
    return 0
