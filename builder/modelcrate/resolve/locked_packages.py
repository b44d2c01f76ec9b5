"""The packages that a lock pins, on this machine: out of the cache, and fetched by their hashes where they are not there."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path

from modelcrate.events import Emit
from modelcrate.project.values import Entry, Project
from modelcrate.resolve.lock import Lock
from modelcrate.resolve.pinned import Pinned
from modelcrate.transports.connections import Connections
from modelcrate_layers.frozen import replace
from modelcrate_layers.packages.checked import is_damaged
from modelcrate_layers.packages.pinned import Package
from modelcrate_layers.patterns import compile_later

_SHA256 = compile_later(r"[0-9a-f]{64}")


def provide_packages(
    project: Project, folder: Path, lock: Lock, kinds: Collection[str], connections: Connections, emit: Emit
) -> tuple[Pinned[Package], ...]:
    """Returns the packages of some kinds, each of which is in the cache with the right bytes.

    Args:
        project: The project that was locked.
        folder: Its folder.
        lock: The lock.
        kinds: `wheel`, `deb` or `conda`.
        connections: The open connections.
        emit: Gets the progress.

    Raises:
        CrateError: A package can't be fetched; the class is the kind of cause.
    """
    cache = connections.config.cache
    wanted = {pin.sha256: pin for pins in lock.pins.values() for pin in pins.packages if pin.kind in kinds}
    places = {pin.sha256: pin.place(cache) for pin in wanted.values()}
    if any(not place.is_file() or is_damaged(place, sha256) for sha256, place in places.items()):
        _fetch(project, folder, lock, connections, emit)
    return tuple(wanted.values())


def cached_packages(cache: Path) -> Iterator[str]:
    """Yields the SHA-256 by which packages are named in the cache. None of them is read."""
    for folder in ("wheels", "debs", "conda"):
        yield from (
            name for path in cache.glob(f"{folder}/*") if _SHA256.fullmatch(name := path.name.removesuffix(".deb"))
        )


def _fetch(project: Project, folder: Path, lock: Lock, connections: Connections, emit: Emit) -> None:
    from modelcrate.resolve.world import open_fetcher, resolve

    if project.served_by_model:  # its script is generated, and the packages are for that
        project = replace(project, entry=Entry(Path("score.py")))
    world = resolve(project, folder, connections, datetime.now(UTC), lock, emit)
    fetcher = open_fetcher(world, connections)
    for each in world.platforms:
        for kind in (*each.below.kinds, *each.dependencies):
            fetcher.supply(kind)
