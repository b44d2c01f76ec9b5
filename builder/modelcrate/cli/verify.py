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
from modelcrate.lock import FILE_NAME as LOCK_NAME
from modelcrate.project.values import FILE_NAME
from modelcrate_layers.errors import IntegrityError


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
    is_project = path.is_file() or any((path / name).exists() for name in (FILE_NAME, LOCK_NAME))
    return _project(args, path, console) if is_project else _image(args, console)


def _image(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.cli.words import size
    from modelcrate.inputs.addresses import find
    from modelcrate.verify_bytes import verify_bytes

    checked = verify_bytes(find(args.subject, console.settings))
    facts = {
        "image": args.subject,
        "documents": checked.documents,
        "blobs": checked.blobs,
        "bytes": checked.bytes,
        "mismatches": list(checked.mismatches),
    }
    read = f"{checked.documents} documents and {checked.blobs} blobs, {size(checked.bytes)}"
    return _verdict(console, facts, checked.mismatches, f"{args.subject}: {read}, all as they should be")


def _project(args: argparse.Namespace, path: Path, console: Console) -> int:
    from dataclasses import replace

    from modelcrate import pipeline
    from modelcrate.inputs.addresses import find
    from modelcrate.lease import using
    from modelcrate.pack import Nowhere
    from modelcrate.registry.fetch import Fetcher
    from modelcrate.verify_rebuild import differences

    settings, emit = console.settings, console.emit
    request = replace(pipeline.read(path, settings, emit), locked=True, paranoid=True)
    address = args.against or f"{request.project.name}:latest"
    found = find(address, settings)
    mismatches: list[str] = []
    with using(console.settings.home), Fetcher(settings.network, emit) as fetcher:
        prepared = pipeline.prepare(request, settings, fetcher, emit)
        rebuilt = pipeline.build(prepared, settings, emit, Nowhere(), Nowhere()).image
        for image in rebuilt.images:
            mismatches += differences(found.image(image.platform), image)
    facts = {"project": str(path), "against": address, "rebuilt": str(rebuilt.digest), "mismatches": mismatches}
    return _verdict(console, facts, mismatches, f"{address} is what {path} gives: {rebuilt.digest}")


def _verdict(console: Console, facts: dict[str, object], mismatches: list[str] | tuple[str, ...], well: str) -> int:
    """Print it; the exit code."""
    lines = [*mismatches, f"{len(mismatches)} mismatches (exit {IntegrityError.exit_code})"] if mismatches else [well]
    console.result(facts, "\n".join(lines))
    return IntegrityError.exit_code if mismatches else 0
