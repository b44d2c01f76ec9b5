"""Verifies the contents of an image, or rebuilds a project, for `verify` without keys. Mismatches end with exit code 5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from modelcrate.cli.console import Console
from modelcrate.project.values import FILE_NAME
from modelcrate.render.text import counted
from modelcrate.resolve.lock import FILE_NAME as LOCK_NAME
from modelcrate_layers.errors import IntegrityError


def is_project(path: Path) -> bool:
    """Returns whether a path is a project file, or a folder with a project file or a lock."""
    return path.is_file() or any((path / name).exists() for name in (FILE_NAME, LOCK_NAME))


def check_image(address: str, console: Console) -> int:
    """Verifies all bytes of an image. Returns the exit code."""
    from modelcrate.inspect.verify_bytes import verify_bytes
    from modelcrate.project.byte_sizes import format_size
    from modelcrate.transports.addresses import find

    checked = verify_bytes(find(address, console.connections))
    facts = {
        "image": address,
        "documents": checked.documents,
        "blobs": checked.blobs,
        "bytes": checked.bytes,
        "mismatches": list(checked.mismatches),
        "unchecked": list(checked.unchecked),
    }
    for each in checked.unchecked:
        console.print_message(f"not checked: {each}")
    read = (
        f"{counted(checked.documents, 'document')} and {counted(checked.blobs, 'blob')}, {format_size(checked.bytes)}"
    )
    return _verdict(console, facts, checked.mismatches, f"{address}: {read}, all correct")


def check_project(path: Path, against: str | None, console: Console) -> int:
    """Builds a project from its lock again, and compares it with an image, by default NAME:latest in the store.

    Returns:
        The exit code.
    """
    from modelcrate.inspect.verify_rebuild import list_mismatches
    from modelcrate.transports.addresses import find

    with console.session() as session:
        request = session.read(path)
        address = against or f"{request.project.name}:latest"
        found = find(address, session.connections)
        rebuilt = session.rebuild(request)
        mismatches = [
            line
            for image in rebuilt.images
            for line in list_mismatches(found.image(image.platform, image.variant), image)
        ]
    facts = {"project": str(path), "against": address, "rebuilt": str(rebuilt.digest), "mismatches": mismatches}
    return _verdict(console, facts, mismatches, f"{address} is what {path} gives: {rebuilt.digest}")


def check_rebuild(address: str, keys: Sequence[Path], policy: Path | None, console: Console) -> int:
    """Builds an image again from the sources beside it, and compares. Returns the exit code.

    Args:
        address: The image.
        keys: Public keys, one of which has to have signed it.
        policy: A policy that it has to satisfy.
        console: Shows the result.
    """
    from modelcrate.pipeline.rebuild import rebuild_image
    from modelcrate.security.signing.requirements import signature_check
    from modelcrate.transports.addresses import find

    check = signature_check(keys, policy)
    with console.session() as session:
        found = find(address, session.connections)
        rebuilt = rebuild_image(found, session, check(found, address) if check is not None else None)
    facts = {"image": address, "rebuilt": str(rebuilt.digest), "mismatches": list(rebuilt.mismatches)}
    if rebuilt.mismatches and rebuilt.made_by:
        console.print_message(f"the image was made by modelcrate {rebuilt.made_by}, and this is another version")
    return _verdict(console, facts, rebuilt.mismatches, f"{address} is what its sources give: {rebuilt.digest}")


def _verdict(console: Console, facts: Mapping[str, object], mismatches: Sequence[str], well: str) -> int:
    """Prints the result, and returns the exit code."""
    lines = [*mismatches, f"{len(mismatches)} mismatches (exit {IntegrityError.exit_code})"] if mismatches else [well]
    console.print_result(facts, "\n".join(lines))
    return IntegrityError.exit_code if mismatches else 0
