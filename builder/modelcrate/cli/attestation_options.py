"""The options of a build that say what is put beside the image: bills of materials, provenance, signatures."""

from __future__ import annotations

import argparse
from pathlib import Path

from modelcrate.cli.passwords import password_of
from modelcrate.config import Config
from modelcrate.pipeline.request import AttestationOptions


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sbom",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="put bills of materials beside the image; unasked, they go along with a push, for which nothing is fetched, and with --sign; "
        "asked for, they make it fetch what has to be looked through",
    )
    parser.add_argument("--provenance", action="store_true", help="put beside it how it was built")
    parser.add_argument("--sign", metavar="KEY", help="sign the image and all that is said about it; see sign --key")
    parser.add_argument(
        "--policy", type=Path, metavar="FILE", help="hold the base to a policy before anything is built"
    )


def read(args: argparse.Namespace, config: Config) -> AttestationOptions:
    """Returns what is put beside the image.

    Raises:
        UserError: The key can't be read, or its password is wrong.
    """
    signer = None
    if args.sign:
        from modelcrate.security.signing.keys import load_signer

        signer = load_signer(args.sign, password_of(args.sign, config.environment))
    return AttestationOptions(args.sbom, args.provenance, signer)
