"""Ask a model: a server that runs, or an image or a project, which is built and started for this one request.

Without a path in the URL, and for an image, the request goes to the route of the first contract, such as /score.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from modelcrate.cli.console import Console
from modelcrate.cli.variant_option import variant_argument
from modelcrate_layers.errors import RegistryError, UserError, unreadable
from modelcrate_layers.named_file import read_named_file

MAX_BODY = 256 << 20
"""Bytes of a request."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="URL|IMAGE|PROJECT", help="http://HOST:PORT, an image's address, or a folder")
    parser.add_argument(
        "-d", "--data", required=True, metavar="DATA|@FILE", help="the body; @FILE reads a file, @- standard input"
    )
    variant_argument(parser)
    parser.add_argument("--path", default="", metavar="PATH", help="the path to send it to (default: the contract's)")
    parser.add_argument(
        "--content-type", default="application/json", metavar="TYPE", help="the body's type (default: application/json)"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.inspect.serving import FAILED
    from modelcrate.pipeline.asking import open_endpoint

    body = _body(args.data)
    if args.path and not args.path.startswith("/"):
        raise UserError(f"not a path: {args.path[:80]!r}", hint="expected for instance /score")
    with console.session() as session, open_endpoint(args.target, session, args.variant) as where:
        reply = where.ask(body, args.path, args.content_type)
    sys.stdout.buffer.write(reply.body + (b"" if reply.body.endswith(b"\n") else b"\n"))
    sys.stdout.buffer.flush()
    if 200 <= reply.status < 300:
        return 0
    log = f"; it logged:\n{reply.log}" if reply.status >= FAILED and reply.log else ""
    console.print_message(f"the server answered with status {reply.status}{log}")
    return RegistryError.exit_code


def _body(text: str) -> bytes:
    if text == "@-":
        return sys.stdin.buffer.read(MAX_BODY)
    if not text.startswith("@"):
        return text.encode()
    try:
        return read_named_file(Path(text[1:]), MAX_BODY)
    except OSError as fault:
        raise unreadable(fault, text[1:]) from None
