"""Check whether a running container implements the protocols of its platforms. The container may be made with any tool."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from modelcrate.cli.console import Console
from modelcrate.render.text import counted, format_table
from modelcrate_layers.errors import IntegrityError, UserError

LONGEST = 3600
"""The longest time to wait for one response, in seconds."""


def arguments(parser: argparse.ArgumentParser) -> Sequence[argparse.ArgumentParser]:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    text = "send the requests of each protocol, and compare the responses with the protocol"
    made = actions.add_parser(
        "check",
        help=text,
        description=f"{text.capitalize()}. The exit code is 0 if all responses are as expected, 5 if one is not, "
        "and 4 if the server does not respond. Requests that need a model or instances are skipped if there are none.",
    )
    made.add_argument("url", metavar="URL", help="the address of the container: http://HOST:PORT")
    made.add_argument(
        "--contract",
        action="append",
        default=[],
        metavar="NAME",
        help="a contract to check; may be given several times (default: all whose health route responds)",
    )
    made.add_argument(
        "--model", default="", metavar="NAME", help="the model's name (default: the first that the server lists)"
    )
    made.add_argument("--instances", metavar="JSON", help="rows to predict, such as [[1, 2], [3, 4]] (default: none)")
    made.add_argument(
        "--timeout", type=float, default=60.0, metavar="SECONDS", help="time to wait for each response (default: 60)"
    )
    return [made]


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.inspect.conformance import Target, check_contracts

    if args.offline:
        raise UserError(
            "contract check sends requests to a server, which --offline forbids", hint="without --offline they are sent"
        )
    if not 0 < args.timeout <= LONGEST:
        raise UserError(f"not a time to wait: {args.timeout:g} seconds", hint=f"expected up to {LONGEST}")
    verdicts = check_contracts(Target(args.url, args.model, _instances(args.instances), args.timeout), args.contract)
    words = {True: "ok", False: "WRONG", None: "-"}
    rows = [(each.contract, each.route, each.what, each.expected, each.came, words[each.ok]) for each in verdicts]
    head = ("CONTRACT", "ROUTE", "WHAT", "EXPECTED", "CAME", "OK")
    console.print_result([asdict(each) for each in verdicts], format_table([head, *rows]))
    wrong = sum(each.ok is False for each in verdicts)
    sent = sum(each.ok is not None for each in verdicts)
    console.print_message(f"{counted(sent, 'request')}, {wrong} without the expected response")
    return IntegrityError.exit_code if wrong else 0


def _instances(text: str | None) -> list[Any] | None:
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError as fault:
        raise UserError(
            "--instances is not JSON",
            why=str(fault),
            hint="expected for instance [[1, 2], [3, 4]], in single quotes for the shell",
        ) from None
    if not isinstance(value, list) or not value:
        raise UserError("--instances is not a list of rows", hint="expected for instance [[1, 2], [3, 4]]")
    return value
