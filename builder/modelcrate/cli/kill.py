"""End containers at once and remove them: SIGKILL, without waiting for what they would still do. With --signal they only get that signal."""

from __future__ import annotations

import argparse

from modelcrate.cli.console import Console
from modelcrate_layers.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="+", metavar="CONTAINER", help="containers by name")
    parser.add_argument("-s", "--signal", metavar="SIGNAL", help="send this signal, by name or number, and no more")


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.containers import find
    from modelcrate.containers.process import signal_number

    number = None if args.signal is None else signal_number(args.signal)
    if args.signal is not None and number is None:
        raise UserError(f"there is no signal {args.signal[:40]!r}", hint="for instance TERM, SIGHUP or 9")
    rows: list[dict[str, str | int | None]] = []
    for container in [find(console.config.containers, name) for name in args.names]:
        if number is not None:
            if not container.signal(number):
                raise UserError(
                    f"the container {container.name} does not run",
                    hint="modelcrate ps shows what runs; modelcrate rm NAME removes it",
                )
            rows.append({"name": container.name})
            continue
        rows.append({"name": container.name, "exit_code": container.stop(timeout=0)})
        container.remove()
    console.print_result(rows, "\n".join(str(row["name"]) for row in rows))
    return 0
