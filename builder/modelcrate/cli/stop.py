"""Stop containers: the image's stop signal (SIGTERM), and after some seconds SIGKILL. State and log stay; `start` starts them again."""

from __future__ import annotations

import argparse

from modelcrate.cli.console import Console


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="+", metavar="CONTAINER", help="containers by name")
    parser.add_argument(
        "-t",
        "--timeout",
        "--time",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="how long to wait before SIGKILL (default: 10)",
    )
    parser.add_argument("--rm", action="store_true", help="remove the container and its log as well")


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.containers import find

    rows = []
    for container in [find(console.config.containers, name) for name in args.names]:
        code = container.stop(args.timeout)
        if args.rm:
            container.remove()
        rows.append({"name": container.name, "exit_code": code})
    codes = ("no exit code" if row["exit_code"] is None else f"exit code {row['exit_code']}" for row in rows)
    console.print_result(rows, "\n".join(f"{row['name']}  {code}" for row, code in zip(rows, codes, strict=True)))
    return 0
