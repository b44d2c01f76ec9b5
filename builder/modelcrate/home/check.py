"""Checks every file of MODELCRATE_HOME that has a digest. Damaged files can be removed; the next build makes or fetches them again.

A build checks the files that it uses in the same way (`Layout.intact`, `packages.checked`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from modelcrate.config import Config
from modelcrate.events import Emit, ignore_event, track_chunks
from modelcrate.home.prune import held_digests
from modelcrate_layers.atomic import remove
from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.store import REF_NAME, Layout, as_machine_error
from modelcrate_layers.tar.sources import FileRange

_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}


@dataclass(frozen=True, slots=True)
class Checked:
    """A file, whether it has its digest, and the names of the images that need it."""

    path: Path
    size: int
    intact: bool
    images: tuple[str, ...] = ()


def check(config: Config, emit: Emit = ignore_event) -> Iterator[Checked]:
    """Yields every blob and package with the result of its check. The caller holds the home's lock.

    Args:
        config: The configuration.
        emit: Gets the progress.
    """
    images = _images(config)
    for path, algorithm, digest in _digested(config):
        size, found = _hash(path, algorithm, emit)
        yield Checked(path, size, found == digest, images.get(path, ()))


def repair(damaged: Checked) -> None:
    """Removes a damaged file. An image that needs it is complete again after it is built or pulled again.

    Raises:
        MachineError: The file can't be removed.
    """
    with as_machine_error(damaged.path):
        remove(damaged.path)


def _digested(config: Config) -> Iterator[tuple[Path, str, str]]:
    """Yields the files with the algorithm and the digest that their paths have."""
    for folder in sorted((config.store / "blobs").glob("*")):
        for path in sorted(folder.glob("*")):
            if len(path.name) == _LENGTHS.get(folder.name):
                yield path, folder.name, path.name
    cache = config.cache
    for pattern in ("wheels/*/*.whl", "conda/*/*.conda", "conda/*/*.tar.bz2"):
        yield from ((path, "sha256", path.parent.name) for path in sorted(cache.glob(pattern)))
    for pattern in ("debs/*.deb", "debian/lists/*"):
        yield from ((path, "sha256", path.stem) for path in sorted(cache.glob(pattern)) if _is_digest(path.stem))


def _is_digest(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{64}", text) is not None


def _hash(path: Path, algorithm: str, emit: Emit) -> tuple[int, str]:
    """Returns the size and the digest of a file; an empty digest if it can't be read."""
    hashed = hashlib.new(algorithm, usedforsecurity=True)
    try:
        content = FileRange.of_file(str(path))
        for chunk in track_chunks(content.chunks(), f"check {path.name[:12]}", content.size, emit):
            hashed.update(chunk)
    except CrateError:
        return 0, ""
    return content.size, hashed.hexdigest()


def _images(config: Config) -> Mapping[Path, tuple[str, ...]]:
    """Returns the names of the images that need a blob, by the path of the blob."""
    found: dict[Path, list[str]] = {}
    with suppress(CrateError):
        store = Layout.open(config.store)
        for descriptor in store.manifests():
            name = descriptor.annotations.get(REF_NAME, str(descriptor.digest))
            for digest in held_digests(store, descriptor):
                found.setdefault(store.path(digest), []).append(name)
    return {path: tuple(names) for path, names in found.items()}
