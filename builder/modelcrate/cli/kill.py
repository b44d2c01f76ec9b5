"""End containers that run started, at once: SIGKILL, without waiting for what they would still do. The name is free afterwards."""

from __future__ import annotations

import argparse

from modelcrate.cli.console import Console


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="+", metavar="NAME", help="containers by name")


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.containers import find

    rows = []
    for container in [find(console.config.containers, name) for name in args.names]:
        rows.append({"name": container.name, "exit_code": container.stop(timeout=0)})
        container.remove()
    console.result(rows, "\n".join(str(row["name"]) for row in rows))
    return 0
