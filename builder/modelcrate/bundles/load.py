"""Loads a bundle: into a registry, or into the local store of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from modelcrate.bundles.bundle import Bundle
from modelcrate.bundles.inventory import STORE
from modelcrate.bundles.receivers import Receiver, RegistryReceiver, StoreReceiver
from modelcrate.events import Done, Emit
from modelcrate.home.folder import open_store
from modelcrate.images.reading import Found
from modelcrate.images.reference import is_registry
from modelcrate.transports.connections import Connections
from modelcrate.transports.output import Delivered
from modelcrate_layers.atomic import scratch_folder
from modelcrate_layers.content import Descriptor, MediaType
from modelcrate_layers.errors import SourceError, UserError

Check = Callable[[Found, str], object]
"""Raises an error for an image that is not to be loaded; it gets the image and its name."""


def load_bundle(
    path: Path, target: str, connections: Connections, emit: Emit, check: Check | None = None
) -> tuple[Delivered, ...]:
    """Writes all images of a bundle, with what is beside them, under their names and with their digests.

    What was written stays there when a later image fails; a second call goes on from there.

    Args:
        path: The bundle, or one of its parts.
        target: `store`; or `registry:HOST[/PREFIX]`, where images get the repositories of their names, below the prefix.
        connections: The open connections.
        emit: Gets the progress.
        check: Called for every image before any is written.

    Returns:
        What was written, an entry an image.

    Raises:
        UserError: The target is none.
        SourceError: The bundle is not there, or leaves out what the target does not have.
        IntegrityError: The bundle is damaged, or `check` refuses an image.
        RegistryError: The registry can't be reached, or refuses.
    """
    bundle = Bundle.open(path)
    with _receiver(target, connections) as receiver:
        _refuse_lacking(bundle, receiver, target)
        images = {name: bundle.found(name, receiver) for name in bundle.images}
        if check is not None:
            for name, found in images.items():
                check(found, name)
        copies = {name: found.copy() for name, found in images.items()}
        done = []
        for name, copy in copies.items():
            done.append(receiver.output(name).deliver(copy, connections, emit))
            emit(Done(f"{done[-1].kind} {done[-1].target}"))
        return tuple(done)


@contextmanager
def _receiver(target: str, connections: Connections) -> Iterator[Receiver]:
    kind, _, place = target.partition(":")
    host, _, prefix = place.rstrip("/").partition("/")
    if target == STORE:
        yield StoreReceiver(open_store(connections.config))
    elif kind == "registry" and is_registry(host):
        with scratch_folder() as folder:
            yield RegistryReceiver(connections.registries, host, prefix, folder)
    else:
        raise UserError(
            f"a bundle is not loaded into {target[:200]!r}", hint="expected `store`, or registry:HOST[/PREFIX]"
        )


def _refuse_lacking(bundle: Bundle, receiver: Receiver, target: str) -> None:
    """Refuses a bundle that leaves out what its target does not have, before anything is written."""
    lacking = [
        (digest, known)
        for digest, known in bundle.left_out.items()
        if not receiver.has(Descriptor(MediaType.LAYER, digest, known.size), known.repository)
    ]
    if lacking:
        raise SourceError(
            f"the bundle leaves out {len(lacking)} of {len(bundle.left_out)} blobs that {target} does not have",
            where=bundle.parts.where,
            why=f"it was made for an inventory of {bundle.place}; for instance {lacking[0][0]} "
            f"({lacking[0][1].size} bytes) is missing",
            hint="make it for an inventory of this target, or without --for",
        )
