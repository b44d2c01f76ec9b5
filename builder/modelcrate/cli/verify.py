"""See whether bytes are what is said of them.

verify PROJECT builds a folder with a lock once more, believing no key and no memo, keeps nothing, and compares with an image (the
local store's NAME:latest, or --against). verify IMAGE recomputes every digest, diff id and size of an image, whoever made it.
verify IMAGE --key FILE (or --policy FILE) checks who signed it and what was attested, in a registry, a layout or an archive, offline.
What does not fit is listed, and the exit code is 5."""

from __future__ import annotations

import argparse
from pathlib import Path

from modelcrate.cli import signatures
from modelcrate.cli.console import Console
from modelcrate.cli.verify_content import check_image, check_project, is_project


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("subject", metavar="PROJECT|IMAGE", help="a folder with a lock, or an image's address")
    parser.add_argument(
        "--key", action="append", default=[], type=Path, metavar="FILE", help="a public key; may be given several times"
    )
    parser.add_argument(
        "--policy", type=Path, metavar="FILE", help="a policy: keys by repository, and what must be proven"
    )
    parser.add_argument("--against", metavar="IMAGE", help="the image that the project should give")


def run(args: argparse.Namespace, console: Console) -> int:
    if args.key or args.policy:
        return signatures.run(args.subject, args.key, args.policy, console)
    path = Path(args.subject)
    return check_project(path, args.against, console) if is_project(path) else check_image(args.subject, console)
