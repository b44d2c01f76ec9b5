"""Loads a bundle: into a registry, or into the local store of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from modelcrate.bundles.bundle import Bundle
from modelcrate.bundles.inventory import STORE, Known
from modelcrate.bundles.notes import TOOLS, package_member
from modelcrate.bundles.receivers import Receiver, RegistryReceiver, StoreReceiver
from modelcrate.events import Done, Emit, Notice, track_chunks
from modelcrate.home.folder import check_home, open_store
from modelcrate.images.artifact import list_blobs, read_artifact_index_location
from modelcrate.images.image import Copy
from modelcrate.images.image_config import BASE_DIGEST
from modelcrate.images.reading import Found
from modelcrate.images.reference import Reference, is_registry
from modelcrate.resolve.pinned import Pinned
from modelcrate.transports.connections import Connections
from modelcrate.transports.output import Delivered, Output
from modelcrate_layers.atomic import incoming, remove, scratch_folder
from modelcrate_layers.content import Descriptor, Digest, MediaType
from modelcrate_layers.errors import IntegrityError, SourceError, UserError
from modelcrate_layers.packages.checked import is_damaged
from modelcrate_layers.packages.pinned import Package
from modelcrate_layers.store import as_machine_error

AT_ONCE = 16
"""Blobs that a target is asked for at a time."""

UNSIGNED = (
    "no signature is about the packages and tools of the bundle: a build takes a package only by the hash in its lock, "
    "and `bundle show` prints the digests of tools"
)

Check = Callable[[Found, str], object]
"""Raises an error for an image that is not to be loaded; it gets the image and its name."""


def load_bundle(
    path: Path, target: str, connections: Connections, emit: Emit, check: Check | None = None
) -> tuple[Delivered, ...]:
    """Writes all images of a bundle, with what is beside them, under their names and with their digests; its packages go into the cache.

    What was written stays there when a later image fails; a second call goes on from there.

    Args:
        path: The bundle, or one of its parts.
        target: `store`; or `registry:HOST[/PREFIX]`, where images get the repositories of their names, below the prefix.
        connections: The open connections.
        emit: Gets the progress.
        check: Called before any image is written, for every image but the bases that a checked one names by their digests.

    Returns:
        What was written, an entry an image.

    Raises:
        UserError: The target is none, or two images would get one name there.
        SourceError: The bundle is not there, or leaves out what the target does not have.
        IntegrityError: The bundle is damaged, has what belongs to none of its images, or `check` refuses an image.
        RegistryError: The registry can't be reached, or refuses.
    """
    bundle = Bundle.open(path)
    with _receiver(target, connections) as receiver:
        _refuse_lacking(bundle, receiver, target)
        images = {name: bundle.found(name, receiver) for name in bundle.images}
        if check is not None:
            _check_images(images, check)
            if bundle.notes.packages or bundle.notes.tools:
                emit(Notice(UNSIGNED))
        outputs = {name: receiver.output(name) for name in images}
        _refuse_meeting(bundle, outputs)
        copies = {name: found.copy() for name, found in images.items()}
        _refuse_surplus(bundle, copies.values())
        _check_tools(bundle)
        _refuse_lacking_packages(bundle, connections)
        keep_packages(bundle, connections, emit)
        done = []
        for name, copy in copies.items():
            done.append(outputs[name].deliver(copy, connections, emit))
            emit(Done(f"{done[-1].kind} {done[-1].target}"))
        return tuple(done)


def _check_images(images: Mapping[str, Found], check: Check) -> None:
    """Checks all images but the bases of checked ones: who signs an image signs the digest of its base, which is all that it is called by."""
    plain = {name: Reference.parse(name) for name in images}
    named: set[str] = set()
    for name in sorted(images, key=lambda each: _is_digest_alone(plain[each])):  # bases behind the images on them
        found = images[name]
        if not (_is_digest_alone(plain[name]) and str(found.descriptor.digest) in named):
            check(found, name)
            named.update(_bases(found))


def _is_digest_alone(reference: Reference) -> bool:
    return reference.tag is None and reference.digest is not None


def _bases(found: Found) -> Iterator[str]:
    """Yields the digests that the manifests of an image name as those of their bases."""
    for each in found.members() or (found.descriptor,):
        notes = Found(found.collection, each).document().get("annotations")
        if isinstance(notes, dict) and isinstance(digest := notes.get(BASE_DIGEST), str):
            yield digest


def _check_tools(bundle: Bundle) -> None:
    """Reads the files of modelcrate, which are held to their digests. Whoever needs one unpacks it before: `tar -xf FILE tools`."""
    for name, descriptor in bundle.notes.tools.items():
        for _ in bundle.file(f"{TOOLS}/{name}".encode(), descriptor).chunks():
            pass


def _refuse_lacking_packages(bundle: Bundle, connections: Connections) -> None:
    """Refuses a bundle that leaves out packages which are not in the cache here."""
    left_out = [each for each in bundle.notes.packages if package_member(each) not in bundle.members]
    lacking = [each for each in left_out if not _is_kept(each, connections)]
    if lacking:
        raise SourceError(
            f"the bundle leaves out {len(lacking)} of {len(bundle.notes.packages)} packages that are not in the cache here",
            where=bundle.parts.where,
            why=f"it was made for the inventory of another machine; {lacking[0].filename} is missing, for instance",
            hint="make it for an inventory that was taken here, or without --for",
        )


def _is_kept(package: Pinned[Package], connections: Connections) -> bool:
    path = package.place(connections.config.cache)
    return path.is_file() and not is_damaged(path, package.sha256)


def keep_packages(bundle: Bundle, connections: Connections, emit: Emit) -> None:
    """Puts the packages of a bundle into the cache, where builds look for them by their hashes. Each is verified before it is kept.

    Raises:
        IntegrityError: One is missing, or has other bytes.
        MachineError: The cache can't be written.
    """
    if not bundle.notes.packages:
        return
    check_home(connections.config)
    new = 0
    for each in bundle.notes.packages:
        if _is_kept(each, connections):
            continue
        path = each.place(connections.config.cache)
        blob = bundle.package(each)
        with as_machine_error(path.parent):
            remove(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            with incoming(path.parent) as out:
                for chunk in track_chunks(blob.chunks(), each.filename, blob.descriptor.size, emit):
                    out.write(chunk)
                out.keep_first(path)
        new += 1
    emit(
        Notice(
            f"{len(bundle.notes.packages)} packages are in the cache, {new} of them new: a locked build takes them from there"
        )
    )


def _refuse_meeting(bundle: Bundle, outputs: Mapping[str, Output]) -> None:
    """Refuses a bundle of which two different images would get one name."""
    first: dict[str, str] = {}
    for name, output in outputs.items():
        other = first.setdefault(output.target, name)
        if bundle.images[other].digest != bundle.images[name].digest:
            raise UserError(
                f"two images of the bundle would be {output.target}",
                where=bundle.parts.where,
                why=f"they are {other} and {name}",
                hint="load it into the local store (--to store), or make a bundle of each",
            )


def _refuse_surplus(bundle: Bundle, copies: Iterable[Copy]) -> None:
    """Refuses a bundle with bytes that belong to none of its images."""
    wanted: set[Digest] = set()
    for copy in copies:
        graph = copy.graph()
        wanted |= {each.descriptor.digest for each in (*graph.documents, *graph.blobs, *list_blobs(graph.attached))}
    wanted |= {at.digest for each in bundle.images.values() if (at := read_artifact_index_location(each)) is not None}
    if surplus := bundle.surplus(wanted):
        raise IntegrityError(
            f"has {len(surplus)} blobs that belong to none of its images, such as {surplus[0]}",
            where=bundle.parts.where,
        )


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

    def has(blob: tuple[Digest, Known]) -> bool:
        return receiver.has(Descriptor(MediaType.LAYER, blob[0], blob[1].size), blob[1].repository)

    with ThreadPoolExecutor(AT_ONCE, "bundle") as pool:
        there = list(pool.map(has, bundle.notes.left_out.items()))
    lacking = [each for each, found in zip(bundle.notes.left_out.items(), there, strict=True) if not found]
    if lacking:
        raise SourceError(
            f"the bundle leaves out {len(lacking)} of {len(bundle.notes.left_out)} blobs that {target} does not have",
            where=bundle.parts.where,
            why=f"it was made for an inventory of {bundle.notes.place}; for instance {lacking[0][0]} "
            f"({lacking[0][1].size} bytes) is missing",
            hint="make it for an inventory of this target, or without --for",
        )
