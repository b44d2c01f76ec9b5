"""Fetch an image from a registry and write it to the local store, or to the output of -o."""

from __future__ import annotations

import argparse

from modelcrate.cli import transfer
from modelcrate.cli.console import Console
from modelcrate.images.reference import Reference


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", type=Reference.parse, help="HOST/REPOSITORY[:TAG][@DIGEST]")
    parser.add_argument(
        "-o",
        "--output",
        metavar="KIND:TARGET",
        help="write the image to KIND:TARGET (default: to the local store, under its name)",
    )
    transfer.platform_argument(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    return transfer.move(args.reference, args.output or f"store:{args.reference}", args, console)
