"""List containers that run; with --all those that have ended too."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from modelcrate.cli.console import Console
from modelcrate.render.text import format_table
from modelcrate_layers.errors import MachineError

if TYPE_CHECKING:
    from modelcrate.containers import Container

_HEADS = ("NAME", "IMAGE", "STATUS", "PORTS", "ENGINE")
_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-a", "--all", action="store_true", help="also those that have ended")
    parser.add_argument("-q", "--quiet", action="store_true", help="names only")


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.containers import containers

    rows = [row for each in containers(console.config.containers) if (row := _row(each)) is not None]
    shown = [row for row in rows if args.all or row["status"] != "ended"]
    if args.quiet:
        text = "\n".join(row["name"] for row in shown)
    else:
        text = format_table([_HEADS, *(_cells(row) for row in shown)])
        if hidden := len(rows) - len(shown):
            text += f"\n({hidden} that ended: modelcrate ps --all)"
    console.print_result(shown, text)
    return 0


def _row(container: Container) -> dict[str, Any] | None:
    """What is known of a container; None for one that was removed meanwhile."""
    image = ""
    try:
        state = container.state()
    except MachineError:
        return None
    try:
        image = container.spec().options.image
    except MachineError:
        image = "" if state.status == "starting" else "?"  # not written yet, or damaged
    return {
        "name": container.name,
        "image": image,
        "status": state.status,
        "exit_code": state.exit_code,
        "started": state.started,
        "ended": state.ended,
        "engine": state.engine,
        "restarts": state.restarts,
        "ports": {str(port.container): port.host for port in state.ports},
        "published": [str(port) for port in state.ports],
        "notes": list(state.notes),
    }


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    ports = ", ".join(row["published"]) if row["status"] == "running" else ""
    return (row["name"], row["image"], _status(row), ports, row["engine"])


def _status(row: dict[str, Any]) -> str:
    if row["status"] == "ended":
        code = "no exit code" if row["exit_code"] is None else f"exit code {row['exit_code']}"
        return f"ended ({code}) {_age(row['ended'])} ago" if row["ended"] else f"ended ({code})"
    if row["status"] == "orphaned":
        return "runs without its supervisor: stop it"
    again = f", started again {row['restarts']} times" if row["restarts"] else ""
    return f"{row['status']} {_age(row['started'])}{again}" if row["started"] else str(row["status"])


def _age(moment: float) -> str:
    """How long ago, in the largest unit that fits."""
    seconds = max(0, int(time.time() - moment))
    for length, name in _UNITS:
        if seconds >= length:
            count = seconds // length
            return f"{count} {name}{'s' if count != 1 else ''}"
    return "0 seconds"
