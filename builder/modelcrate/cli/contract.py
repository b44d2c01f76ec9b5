"""See whether a running container keeps to the protocols of its platforms. Any container: it may have been made with other tools."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from modelcrate.cli.console import Console
from modelcrate.render.text import format_table
from modelcrate_layers.errors import IntegrityError, UserError

LONGEST = 3600
"""Seconds that one answer may be waited for."""


def arguments(parser: argparse.ArgumentParser) -> Sequence[argparse.ArgumentParser]:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    text = "send each protocol's requests, and compare what comes back with what it says"
    made = actions.add_parser(
        "check",
        help=text,
        description=f"{text.capitalize()}. The exit code is 0 when all is as it should be, 5 when something is not, "
        "and 4 when nobody answers. Requests that are not sent for want of a model or of instances do not count.",
    )
    made.add_argument("url", metavar="URL", help="where the container listens, as http://HOST:PORT")
    made.add_argument(
        "--contract",
        action="append",
        default=[],
        metavar="NAME",
        help="a contract to check; may be given several times (default: all whose health route answers)",
    )
    made.add_argument(
        "--model", default="", metavar="NAME", help="the model's name (default: the first one that is listed)"
    )
    made.add_argument("--instances", metavar="JSON", help="rows to be predicted, as [[1, 2], [3, 4]] (default: none)")
    made.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS", help="for each answer (default: 60)")
    return [made]


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.inspect.conformance import Target, check_contracts

    if args.offline:
        raise UserError("contract check asks a server, and --offline forbids it")
    if not 0 < args.timeout <= LONGEST:
        raise UserError(f"not a time to wait: {args.timeout:g} seconds", hint=f"expected up to {LONGEST}")
    verdicts = check_contracts(Target(args.url, args.model, _instances(args.instances), args.timeout), args.contract)
    words = {True: "ok", False: "WRONG", None: "-"}
    rows = [(each.contract, each.route, each.what, each.expected, each.came, words[each.ok]) for each in verdicts]
    head = ("CONTRACT", "ROUTE", "WHAT", "EXPECTED", "CAME", "OK")
    console.print_result([asdict(each) for each in verdicts], format_table([head, *rows]))
    wrong = sum(each.ok is False for each in verdicts)
    asked = sum(each.ok is not None for each in verdicts)
    console.print_message(f"{asked} requests, {wrong} not answered as expected")
    return IntegrityError.exit_code if wrong else 0


def _instances(text: str | None) -> list[Any] | None:
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError as fault:
        raise UserError("--instances is not JSON", why=str(fault)) from None
    if not isinstance(value, list) or not value:
        raise UserError("--instances is not a list of rows", hint="expected for instance [[1, 2], [3, 4]]")
    return value
