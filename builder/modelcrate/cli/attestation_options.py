"""The options for artifacts of a build: bills of materials, provenance, sources, signatures."""

from __future__ import annotations

import argparse
from pathlib import Path

from modelcrate.config import Config
from modelcrate.pipeline.request import AttestationOptions


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument(
        "--sbom",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="attach bills of materials to the image (default: with --push and --sign); "
        "with --sbom, layers are fetched if their contents are not known; without it, a push fetches nothing for them",
    )
    parser.add_argument("--provenance", action="store_true", help="attach a statement of how the image was built")
    parser.add_argument(
        "--sources",
        action="store_true",
        help="attach the project file, the lock and the sources, of which `verify IMAGE --rebuild` makes the image again",
    )
    parser.add_argument("--sign", metavar="KEY", help="sign the image and its attached documents; see sign --key")
    parser.add_argument("--policy", type=Path, metavar="FILE", help="check the base against a policy before the build")


def change_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options for an image that is made of another one."""
    parser.add_argument(
        "--sbom",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="attach bills of materials (default: where the image has them now); with --sbom, all layers that are not known are fetched",
    )
    parser.add_argument(
        "--sign",
        metavar="KEY",
        help="sign the new image, its bills and its sources, if this key has signed the old ones; see sign --key",
    )
    parser.set_defaults(provenance=False, sources=False)


def read(args: argparse.Namespace, config: Config) -> AttestationOptions:
    """Returns the artifacts that the options ask for.

    Raises:
        UserError: The key can't be read, or its password is wrong.
    """
    signer = None
    if args.sign:
        from modelcrate.cli.passwords import password_of
        from modelcrate.security.signing.keys import load_signer

        signer = load_signer(args.sign, password_of(args.sign, config.environment))
    return AttestationOptions(args.sbom, args.provenance, signer, args.sources)
