"""The options of a build that say something about the image: bills of materials, provenance, signatures; and the step that they ask for."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from modelcrate.cli.passwords import password_of
from modelcrate.home.settings import Settings
from modelcrate.pipeline.receipt import Receipt
from modelcrate.pipeline.session import Prepared
from modelcrate_layers.tar.sources import FileRange


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


def wants_sbom(args: argparse.Namespace, pushed: tuple[str, ...]) -> bool:
    """Whether there will be bills of materials. Unasked, a push gets them, and what is signed."""
    return bool(pushed or args.sign) if args.sbom is None else bool(args.sbom)


def attest(
    args: argparse.Namespace,
    pushed: tuple[str, ...],
    prepared: Prepared,
    receipt: Receipt,
    hashes: Mapping[FileRange, str],
    settings: Settings,
    begun: datetime,
) -> Receipt:
    """The receipt with all that was asked to be said beside its image. `hashes` are those of models' files that were read on the way.

    For bills that nobody has asked for nothing is fetched: they say which layers were not looked through.
    """
    sbom = wants_sbom(args, pushed)
    if not (sbom or args.provenance or args.sign):
        return receipt
    from modelcrate.security.attesting import AttestationOptions, attest
    from modelcrate.security.signing.naming import image_identity

    signer = None
    if args.sign:
        from modelcrate.security.signing.keys import load_signer

        signer = load_signer(args.sign, password_of(args.sign, settings.environment))
    name = image_identity(pushed[0] if pushed else receipt.name)
    wanted = AttestationOptions(name, sbom, bool(args.sbom or signer), args.provenance, signer)
    return attest(prepared, receipt, wanted, settings, begun, hashes)
