"""Check a user name and a password at a registry, and save them where Docker and Podman save theirs.

The password is read from standard input with --password-stdin, or from the terminal.
"""

from __future__ import annotations

import argparse
import sys

from modelcrate.cli.console import Console
from modelcrate_layers.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("registry", help="HOST[:PORT]")
    parser.add_argument("-u", "--username", required=True, help="the user name")
    parser.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    parser.add_argument(
        "-p", "--password", help="the password; other users of this machine can see it, so prefer --password-stdin"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.registry.login import login
    from modelcrate.transports.connections import registry_config

    if args.password is not None:
        console.print_message(
            "other users of this machine can see a password on the command line: use --password-stdin"
        )
    kept = login(args.registry, args.username, _password(args), registry_config(console.config))
    plainly = " (not encrypted: a credential helper would keep it better)" if kept.plainly else ""
    console.print_result(
        {"registry": args.registry, "kept": kept.where}, f"logged in to {args.registry}; kept in {kept.where}{plainly}"
    )
    return 0


def _password(args: argparse.Namespace) -> str:
    if args.password is not None:
        return str(args.password)
    if args.password_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise UserError("no password was given", hint="--password-stdin reads it from standard input")
    from getpass import getpass

    return getpass(f"password of {args.username} at {args.registry}: ")
