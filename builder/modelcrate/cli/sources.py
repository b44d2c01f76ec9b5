"""Write the project that an image was made of into a folder: its sources and its lock, which `build --sources` has put beside it, and its models.

The folder is a project: `modelcrate build --locked` makes the same image of it. Models of a workspace or a hub stay there.

Nobody has to have signed the sources, not even where the image is signed: whoever may push beside the image can put some there. So where several are, none is
taken unasked.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from modelcrate.cli.console import Console


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE", help="the image's address")
    parser.add_argument(
        "--digest", default="", help="which sources, where several are beside the image; the error lists them"
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="a folder that is not there yet, or is empty")


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.pipeline.restore import restore_project
    from modelcrate.transports.addresses import find

    file = restore_project(find(args.image, console.connections), args.folder, console.config, args.digest)
    console.print_result({"image": args.image, "project": str(file)}, f"{file}: the project of {args.image}")
    return 0
