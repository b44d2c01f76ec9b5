"""Verify the contents or the signatures of an image, or rebuild a project and compare.

verify IMAGE recomputes every digest, diff id and size of an image, and compares tables of layers (eStargz, zstd:chunked, SOCI) with them. The image
may be made with any tool.

verify IMAGE --key FILE (or --policy FILE) verifies the signatures and attestations of an image. It needs no service on the network.

verify IMAGE --rebuild builds the image again from the lock and the sources beside it (build --sources), and compares. The base and the packages
come from where these have them, by their hashes; the models are the image's own. With --key or --policy the signatures are verified first.

verify PROJECT builds a project with a lock again, without cached results, and compares the result with an image (NAME:latest in the local
store, or --against). The rebuilt image is not kept.

Mismatches are listed, and the exit code is 5.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from modelcrate.cli import signatures
from modelcrate.cli.console import Console
from modelcrate.cli.verify_content import check_image, check_project, check_rebuild, is_project
from modelcrate_layers.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("subject", metavar="PROJECT|IMAGE", help="a folder with a lock, or an image's address")
    parser.add_argument(
        "--key", action="append", default=[], type=Path, metavar="FILE", help="a public key; may be given several times"
    )
    parser.add_argument(
        "--policy",
        type=Path,
        metavar="FILE",
        help="a policy: the keys of each repository, and the attestations that it requires",
    )
    parser.add_argument(
        "--rebuild", action="store_true", help="build the image again from the sources beside it, and compare"
    )
    parser.add_argument("--against", metavar="IMAGE", help="the image to compare the rebuilt project with")


def run(args: argparse.Namespace, console: Console) -> int:
    path = Path(args.subject)
    if args.rebuild and not is_project(path):  # a project is rebuilt in any case
        if args.against:
            raise UserError("--rebuild compares with the image that is named", hint="leave --against out")
        return check_rebuild(args.subject, args.key, args.policy, console)
    if args.key or args.policy:
        return signatures.run(args.subject, args.key, args.policy, console)
    return check_project(path, args.against, console) if is_project(path) else check_image(args.subject, console)
