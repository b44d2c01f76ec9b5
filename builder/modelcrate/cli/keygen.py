"""Create a key pair for signing images: PREFIX.key (encrypted if there is a password) and PREFIX.pub.

The password is read from MODELCRATE_KEY_PASSWORD or COSIGN_PASSWORD, or from the terminal.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from modelcrate.cli.console import Console
from modelcrate.cli.passwords import new_password


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "prefix", nargs="?", default="modelcrate", type=Path, help="the files' path without .key and .pub"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.security.signing.keys import write_pair

    password = new_password(console.config.environment)
    private, public = write_pair(args.prefix, password)
    how = "encrypted" if password else "not encrypted: keep it where other users can't read it"
    console.print_result(
        {"private": str(private), "public": str(public), "encrypted": bool(password)}, f"{private}  {how}\n{public}"
    )
    return 0
