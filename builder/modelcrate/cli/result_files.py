"""The files into which `build` writes what other steps of a pipeline ask for: the digest, and the references by digest."""

from __future__ import annotations

import argparse
from pathlib import Path

from modelcrate.pipeline.receipt import Receipt
from modelcrate_layers.atomic import write_file
from modelcrate_layers.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options for files with results."""
    parser.add_argument(
        "--digest-file", type=Path, metavar="FILE", help="write the digest of the image to FILE, without a line end"
    )
    parser.add_argument(
        "--reference-file",
        type=Path,
        metavar="FILE",
        help="write HOST/REPOSITORY@DIGEST to FILE, a line for each --push",
    )


def check(args: argparse.Namespace) -> None:
    """Refuses files that could not be written, before anything is built.

    Raises:
        UserError: A file's folder is missing, it is something else than a file, or nothing is pushed that a reference could name.
    """
    wanted = [each for each in (args.digest_file, args.reference_file) if each is not None]
    if wanted and args.each is not None:
        raise UserError(
            f"{wanted[0]} can't have the results of several projects",
            hint="with --each, read the list that --json prints",
        )
    if (
        args.reference_file is not None
        and not args.push
        and not any(each.startswith("registry:") for each in args.output)
    ):
        raise UserError(
            "--reference-file has nothing to name", why="no --push", hint="name a registry, or use --digest-file"
        )
    for each in wanted:
        if not each.parent.is_dir():
            raise UserError(
                "is no folder", where=str(each.parent), hint=f"make it first; {each.name} is written into it"
            )
        if each.exists() and not each.is_file():
            raise UserError("is no regular file", where=str(each), hint="name a file that may be replaced")


def write(args: argparse.Namespace, receipt: Receipt) -> None:
    """Writes the files that were asked for."""
    if args.digest_file is not None:
        write_file(args.digest_file, str(receipt.image.digest).encode())
    if args.reference_file is not None:
        write_file(args.reference_file, "".join(f"{each}\n" for each in receipt.references).encode())
