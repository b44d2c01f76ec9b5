"""Write the project that an image was made of into a folder: its sources and its lock, which `build --sources` has put beside it, and its models.

The folder is a project: `modelcrate build --locked` makes the same image of it. Models of a workspace or a hub stay there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from modelcrate.cli.console import Console


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE", help="the image's address")
    parser.add_argument("folder", metavar="DIR", type=Path, help="a folder that is not there yet, or is empty")


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.pipeline.rebuild import restore_project
    from modelcrate.transports.addresses import find

    file, several = restore_project(find(args.image, console.connections), args.folder, console.config)
    console.print_result({"image": args.image, "project": str(file)}, f"{file}: the project of {args.image}")
    if several > 1:
        console.print_message(f"{several} sources are beside the image, which all may give it; the last one was taken")
    return 0
