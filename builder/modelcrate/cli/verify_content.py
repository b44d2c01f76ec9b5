"""What `verify` does without keys: bytes held to what is said of them, and projects built once more. Mismatches end with code 5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from modelcrate.cli.console import Console
from modelcrate.project.values import FILE_NAME
from modelcrate.resolve.lock import FILE_NAME as LOCK_NAME
from modelcrate_layers.errors import IntegrityError


def is_project(path: Path) -> bool:
    """A project file, or a folder with one or with a lock."""
    return path.is_file() or any((path / name).exists() for name in (FILE_NAME, LOCK_NAME))


def check_image(address: str, console: Console) -> int:
    """Recompute all that an image says of its bytes."""
    from modelcrate.inspect.verify_bytes import verify_bytes
    from modelcrate.render.text import format_size
    from modelcrate.transports.addresses import find

    checked = verify_bytes(find(address, console.connections))
    facts = {
        "image": address,
        "documents": checked.documents,
        "blobs": checked.blobs,
        "bytes": checked.bytes,
        "mismatches": list(checked.mismatches),
    }
    read = f"{checked.documents} documents and {checked.blobs} blobs, {format_size(checked.bytes)}"
    return _verdict(console, facts, checked.mismatches, f"{address}: {read}, all as they should be")


def check_project(path: Path, against: str | None, console: Console) -> int:
    """Builds it from its lock once more, keeps nothing, and compares with an image: the store's NAME:latest, if none is given."""
    from modelcrate.inspect.verify_rebuild import list_mismatches
    from modelcrate.transports.addresses import find

    with console.session() as session:
        request = session.read(path)
        address = against or f"{request.project.name}:latest"
        found = find(address, session.connections)
        rebuilt = session.rebuild(request)
        mismatches = [line for image in rebuilt.images for line in list_mismatches(found.image(image.platform), image)]
    facts = {"project": str(path), "against": address, "rebuilt": str(rebuilt.digest), "mismatches": mismatches}
    return _verdict(console, facts, mismatches, f"{address} is what {path} gives: {rebuilt.digest}")


def _verdict(console: Console, facts: Mapping[str, object], mismatches: Sequence[str], well: str) -> int:
    """Print it; the exit code."""
    lines = [*mismatches, f"{len(mismatches)} mismatches (exit {IntegrityError.exit_code})"] if mismatches else [well]
    console.print_result(facts, "\n".join(lines))
    return IntegrityError.exit_code if mismatches else 0
