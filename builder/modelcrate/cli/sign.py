"""Sign an image in a registry, the local store, an OCI layout or an OCI archive. The image itself doesn't change.

The signature is written in both forms that other tools read: a sigstore bundle that refers to the image, and cosign's tag. Where unsigned
bills of materials are attached, new ones are made from the layers and signed, because anyone may have attached the old ones. Attached
provenance is not signed: only a build can say how it went (build --sign).
"""

from __future__ import annotations

import argparse

from modelcrate.cli.console import Console
from modelcrate.cli.passwords import password_of


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE", help="the image's address")
    parser.add_argument(
        "--key", required=True, help="the private key's file, or command:PROGRAM for a program that signs"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.pipeline.sign_image import sign_image
    from modelcrate.security.signing.keys import load_signer
    from modelcrate.transports.addresses import find

    signer = load_signer(args.key, password_of(args.key, console.config.environment))
    with console.session() as session:
        found = find(args.image, session.connections)
        made = sign_image(found, args.image, session.config, signer, session.emit)
    facts = {
        "image": args.image,
        "digest": str(found.descriptor.digest),
        "artifacts": [str(each.manifest.descriptor.digest) for each in made],
    }
    lines = [
        f"{each.manifest.descriptor.digest}  {each.tag or each.descriptor.annotations.get('dev.sigstore.bundle.predicateType', each.kind)}"
        for each in made
    ]
    console.print_result(facts, "\n".join([f"signed {args.image}  {found.descriptor.digest}", *lines]))
    return 0
