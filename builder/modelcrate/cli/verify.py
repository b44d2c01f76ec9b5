"""See whether bytes are what is said of them.

verify PROJECT builds a folder with a lock once more, believing no key and no memo, keeps nothing, and compares with an image (the
local store's NAME:latest, or --against). verify IMAGE recomputes every digest, diff id and size of an image, whoever made it.
What does not fit is listed, and the exit code is 5."""

from __future__ import annotations

import argparse
from pathlib import Path

from modelcrate.cli.checking import check_image, check_project, is_project
from modelcrate.cli.console import Console


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="PROJECT|IMAGE", help="a folder with a lock, or an image's address")
    parser.add_argument("--against", metavar="IMAGE", help="the image that the project should give")


def run(args: argparse.Namespace, console: Console) -> int:
    path = Path(args.image)
    if is_project(path):
        return check_project(path, args.against, console)
    return check_image(args.image, console)
