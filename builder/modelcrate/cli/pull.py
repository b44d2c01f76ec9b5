"""Fetch an image from a registry and put it somewhere: into the local store, or wherever -o says."""

from __future__ import annotations

import argparse

from modelcrate.cli import transfer
from modelcrate.cli.console import Console


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", help="HOST/REPOSITORY[:TAG][@DIGEST]")
    parser.add_argument(
        "-o", "--output", metavar="KIND:TARGET", help="where it goes (default: the local store, under its name)"
    )
    transfer.platform_argument(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    return transfer.move(f"registry:{args.reference}", args.output or f"store:{args.reference}", args, console)
