"""What the other side of a gap has: its blobs, and the pieces of its layers. It is taken there, and a bundle is made for it here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from modelcrate.bundles.pieces import Piece, pieces_of
from modelcrate.events import Emit, Notice, track_chunks
from modelcrate.home.folder import open_store
from modelcrate.images.reading import Found, named_codec
from modelcrate.images.reference import Reference, is_registry
from modelcrate.net.errors import ConnectionFailed, ErrorResponse, NotFound
from modelcrate.resolve.locked_packages import cached_packages
from modelcrate.transports import registry
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import (
    Blob,
    Descriptor,
    Digest,
    canonical_json,
    expect_natural,
    expect_text,
    parse_json,
)
from modelcrate_layers.errors import CrateError, IntegrityError, UserError, unreadable
from modelcrate_layers.frozen import dataclass, field, replace
from modelcrate_layers.named_file import read_named_file
from modelcrate_layers.store import REF_NAME

STORE = "store"
"""The place that is the local store of a machine."""

VERSION = 1

MAX_INVENTORY = 256 << 20
"""Bytes of an inventory: two TiB of models have some 180 MiB."""

LEAST_VALUE = 12
"""Bytes of an inventory for each sign between values, at least; ours have 16 and more, for nearly all of it is digests. Parsed, a value takes
up to 80 bytes: six times its bytes then, and thirty times where an inventory could be of empty lists."""

AT_ONCE = 16
"""Images that are read at a time."""

LEAST_LAYER = 1 << 20
"""Bytes of a plain layer from which on its pieces are listed."""


@dataclass(frozen=True, slots=True)
class Known:
    """A blob that the other side has: its bytes, and the repository that it is in (empty for a store)."""

    size: int
    repository: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a registry or a store has.

    Attributes:
        place: HOST[:PORT] of the registry, or `store`.
        images: The digests of its images by their names.
        blobs: Its blobs.
        pieces: The pieces of its plain layers.
        packages: The SHA-256 of the packages in the cache of the machine where it was taken: a bundle is loaded there.
    """

    place: str
    images: Mapping[str, Digest] = field(default_factory=dict, hash=False)
    blobs: Mapping[Digest, Known] = field(default_factory=dict, hash=False, repr=False)
    pieces: Mapping[Digest, tuple[Piece, ...]] = field(default_factory=dict, hash=False, repr=False)
    packages: frozenset[str] = field(default=frozenset(), repr=False)

    def json(self) -> bytes:
        """Returns the inventory as JSON."""
        return canonical_json(
            {
                "version": VERSION,
                "place": self.place,
                "images": {name: str(digest) for name, digest in self.images.items()},
                "blobs": {str(digest): [known.size, known.repository] for digest, known in self.blobs.items()},
                "pieces": {str(digest): list(map(list, pieces)) for digest, pieces in self.pieces.items()},
                "packages": sorted(self.packages),
            }
        )


@dataclass(frozen=True, slots=True)
class _Listed:
    """An image that a place lists, and how it is found."""

    name: str
    repository: str
    find: Callable[[], Found] = field(repr=False, hash=False)


def read_inventory(path: Path) -> Inventory:
    """Reads an inventory.

    Raises:
        SourceError: It can't be read.
        IntegrityError: It is none.
    """
    try:
        data = read_named_file(path, MAX_INVENTORY)
    except OSError as fault:
        raise unreadable(fault, path, "the inventory") from None
    if sum(map(data.count, (b"[", b"{", b":", b","))) * LEAST_VALUE > len(data) + 4096:
        raise IntegrityError("has more values than an inventory of its size", where=str(path))
    value = parse_json(data, str(path), MAX_INVENTORY)
    try:
        if value["version"] != VERSION:
            raise IntegrityError(f"is an inventory of version {value['version']!r:.20}", where=str(path))
        return Inventory(
            expect_text(value["place"]),
            {expect_text(name): Digest.parse(each) for name, each in value["images"].items()},
            {
                Digest.parse(key): Known(expect_natural(size), expect_text(name))
                for key, (size, name) in value["blobs"].items()
            },
            {Digest.parse(key): tuple(map(_piece, pieces)) for key, pieces in value["pieces"].items()},
            frozenset(map(expect_text, value.get("packages", ()))),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise IntegrityError(
            "is no inventory", where=str(path), hint="modelcrate bundle inventory writes one, on the other side"
        ) from None


def take_inventory(places: Iterable[str], connections: Connections, emit: Emit) -> Inventory:
    """Returns what a registry or the local store has, and which packages are in the cache of this machine.

    Layers that are stored as plain tars are read, for the pieces of their files.

    Args:
        places: `store`; or HOST/REPOSITORY, or HOST for all repositories that a registry lists. All of one registry.
        connections: The open connections.
        emit: Gets the progress.

    Raises:
        UserError: The places are none, or are of several registries.
        RegistryError: The registry can't be reached, or refuses.
    """
    wanted = [each.removeprefix("registry:").rstrip("/") for each in places]
    packages = frozenset(cached_packages(connections.config.cache))
    if wanted == [STORE]:
        return replace(_inventory(STORE, _stored(connections), emit), packages=packages)
    hosts = {each.partition("/")[0] for each in wanted}
    if len(hosts) != 1 or not is_registry(host := hosts.pop()):
        raise UserError(
            "an inventory is of one registry, or of the local store",
            hint="expected `store`, HOST, or repositories of one registry: HOST/REPOSITORY ...",
        )
    named = [each.partition("/")[2] for each in wanted]
    repositories = connections.registries.repositories(host) if "" in named else named
    listed = [Reference(host, each) for each in dict.fromkeys(repositories)]
    return replace(_inventory(host, _listed(listed, connections, emit), emit), packages=packages)


def _stored(connections: Connections) -> Iterator[_Listed]:
    from modelcrate.transports.oci import LayoutCollection

    store = open_store(connections.config)
    for each in store.manifests():
        if name := each.annotations.get(REF_NAME):
            yield _Listed(name, "", partial(Found, LayoutCollection(store, name), each))


def _listed(repositories: Iterable[Reference], connections: Connections, emit: Emit) -> Iterator[_Listed]:
    for repository in repositories:
        try:
            tags = connections.registries.tags(repository)
        except NotFound:  # a registry may list one of which all tags were deleted
            tags = []
        except ErrorResponse as fault:
            yield _Listed(repository.name, repository.repository, partial(_refuse, fault))
            continue
        if not tags:
            emit(Notice(f"{repository.name} has no tags"))
        for tag in tags:
            find = partial(registry.find, repository.tagged(tag), connections)
            yield _Listed(f"{repository.repository}:{tag}", repository.repository, find)


def _refuse(fault: CrateError) -> Found:
    raise fault


def _inventory(place: str, images: Iterable[_Listed], emit: Emit) -> Inventory:
    names: dict[str, Digest] = {}
    blobs: dict[Digest, Known] = {}
    pieces: dict[Digest, tuple[Piece, ...]] = {}
    faults: list[CrateError] = []
    with ThreadPoolExecutor(AT_ONCE, "inventory") as pool:
        for image, found in pool.map(_read, images):
            if isinstance(found, CrateError):
                faults.append(found)
                emit(Notice(f"{image.name} is not in the inventory, so all of it would be sent: {found.sentence}"))
                continue
            names[image.name], listed = found
            for blob in listed:
                descriptor = blob.descriptor
                if descriptor.digest not in blobs and has_pieces(descriptor):
                    pieces[descriptor.digest] = tuple(list_pieces(blob, emit))
                blobs.setdefault(descriptor.digest, Known(descriptor.size, image.repository))
    if faults and not names:
        raise faults[0]
    return Inventory(place, names, blobs, {digest: found for digest, found in pieces.items() if found})


def _read(image: _Listed) -> tuple[_Listed, tuple[Digest, tuple[Blob, ...]] | CrateError]:
    """Returns the digest of an image with its blobs and those of all that is beside it; the fault of one that can't be read.

    Raises:
        ConnectionFailed: The registry does not answer, and would not for the next image.
    """
    try:
        found = image.find()
        beside = (blob for each in found.attached() for blob in each.blobs)
        return image, (found.descriptor.digest, (*found.graph().blobs, *beside))
    except ConnectionFailed:
        raise
    except CrateError as fault:
        return image, fault


def has_pieces(descriptor: Descriptor) -> bool:
    """Returns whether a layer is worth its pieces: a plain tar that is not small."""
    return named_codec(descriptor.media_type) == "none" and descriptor.size >= LEAST_LAYER


def list_pieces(blob: Blob, emit: Emit) -> list[Piece]:
    """Reads a plain layer, and returns its pieces; none for one that is no tar, which is then taken whole.

    Raises:
        IntegrityError: Its bytes are not those of its digest.
    """
    descriptor = blob.descriptor
    chunks = track_chunks(blob.chunks(), f"read {descriptor.digest.short}", descriptor.size, emit)
    reading = True

    def passing() -> Iterator[bytes]:
        nonlocal reading
        for chunk in chunks:
            reading = False
            yield chunk
            reading = True

    try:
        return list(pieces_of(passing()))
    except IntegrityError:
        if reading:  # the fault is the blob's, and not the tar's
            raise
        return []


def _piece(value: Any) -> Piece:
    offset, size, found = value
    return Piece(expect_natural(offset), expect_natural(size), expect_text(found))
