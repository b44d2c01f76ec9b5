"""Print what a container has written to its standard output and standard error."""

from __future__ import annotations

import argparse

from modelcrate.cli.console import Console
from modelcrate.cli.container_options import moment
from modelcrate.cli.run import pass_on
from modelcrate_layers.errors import UserError
from modelcrate_layers.patterns import compile_later

_COUNT = compile_later(r"[0-9]{1,9}")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="CONTAINER", help="the container's name")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the container ends")
    parser.add_argument(
        "-n", "--tail", default="all", metavar="N", help="only the last N lines of what there is (default: all)"
    )
    parser.add_argument(
        "--since",
        metavar="TIME",
        help="only what was written after a time, to the second: 10m or 1h30m ago, 2026-11-29T10:00:00, or seconds since 1970",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.containers import find

    if args.tail != "all" and not _COUNT.fullmatch(args.tail):
        raise UserError(f"not a number of lines: {args.tail[:40]!r}", hint="expected --tail N or --tail all")
    container = find(console.config.containers, args.name)
    start = container.log_offset(
        None if args.tail == "all" else int(args.tail), None if args.since is None else moment(args.since)
    )
    for piece in container.logs(args.follow, start):
        pass_on(piece)
    return 0
