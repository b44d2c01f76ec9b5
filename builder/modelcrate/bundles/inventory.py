"""What the other side of a gap has: its blobs, and the pieces of its layers. It is taken there, and a bundle is made for it here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from modelcrate.bundles.pieces import Piece, pieces_of
from modelcrate.events import Emit, track_chunks
from modelcrate.home.folder import open_store
from modelcrate.images.reading import Found, named_codec
from modelcrate.images.reference import Reference, is_registry
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Blob, Descriptor, Digest, canonical_json, parse_json
from modelcrate_layers.errors import IntegrityError, UserError, unreadable
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.named_file import read_named_file
from modelcrate_layers.store import REF_NAME

STORE = "store"
"""The place that is the local store of a machine."""

VERSION = 1

MAX_INVENTORY = 256 << 20
"""Bytes of an inventory: two TiB of models have some 180 MiB."""

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
    """

    place: str
    images: Mapping[str, Digest] = field(default_factory=dict, hash=False)
    blobs: Mapping[Digest, Known] = field(default_factory=dict, hash=False, repr=False)
    pieces: Mapping[Digest, tuple[Piece, ...]] = field(default_factory=dict, hash=False, repr=False)

    def json(self) -> bytes:
        """Returns the inventory as JSON."""
        return canonical_json(
            {
                "version": VERSION,
                "place": self.place,
                "images": {name: str(digest) for name, digest in self.images.items()},
                "blobs": {str(digest): [known.size, known.repository] for digest, known in self.blobs.items()},
                "pieces": {str(digest): list(map(list, pieces)) for digest, pieces in self.pieces.items()},
            }
        )


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
    value = parse_json(data, str(path), MAX_INVENTORY)
    try:
        if value["version"] != VERSION:
            raise IntegrityError(f"is an inventory of version {value['version']!r:.20}", where=str(path))
        return Inventory(
            text(value["place"]),
            {text(name): Digest.parse(each) for name, each in value["images"].items()},
            {Digest.parse(key): Known(number(size), text(name)) for key, (size, name) in value["blobs"].items()},
            {Digest.parse(key): tuple(map(_piece, pieces)) for key, pieces in value["pieces"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise IntegrityError(
            "is no inventory", where=str(path), hint="modelcrate bundle inventory writes one, on the other side"
        ) from None


def take_inventory(places: Iterable[str], connections: Connections, emit: Emit) -> Inventory:
    """Returns what a registry or the local store has.

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
    if wanted == [STORE]:
        return _inventory(STORE, _stored(connections), emit)
    hosts = {each.partition("/")[0] for each in wanted}
    if len(hosts) != 1 or not is_registry(host := hosts.pop()):
        raise UserError(
            "an inventory is of one registry, or of the local store",
            hint="expected `store`, HOST, or repositories of one registry: HOST/REPOSITORY ...",
        )
    client = connections.registries
    named = [each.partition("/")[2] for each in wanted]
    repositories = client.repositories(host) if "" in named else named
    return _inventory(host, _listed([Reference(host, each) for each in dict.fromkeys(repositories)], connections), emit)


def _stored(connections: Connections) -> Iterator[tuple[str, str, Found]]:
    from modelcrate.transports.oci import LayoutCollection

    store = open_store(connections.config)
    for each in store.manifests():
        if name := each.annotations.get(REF_NAME):
            yield name, "", Found(LayoutCollection(store), each)


def _listed(repositories: Iterable[Reference], connections: Connections) -> Iterator[tuple[str, str, Found]]:
    from modelcrate.transports import registry

    for repository in repositories:
        for tag in connections.registries.tags(repository):
            reference = repository.tagged(tag)
            yield f"{repository.repository}:{tag}", repository.repository, registry.find(reference, connections)


def _inventory(place: str, images: Iterable[tuple[str, str, Found]], emit: Emit) -> Inventory:
    names: dict[str, Digest] = {}
    blobs: dict[Digest, Known] = {}
    pieces: dict[Digest, tuple[Piece, ...]] = {}
    for name, repository, found in images:
        names[name] = found.descriptor.digest
        for blob in found.graph().blobs:
            descriptor = blob.descriptor
            if descriptor.digest not in blobs and has_pieces(descriptor):
                pieces[descriptor.digest] = tuple(list_pieces(blob, emit))
            blobs.setdefault(descriptor.digest, Known(descriptor.size, repository))
    return Inventory(place, names, blobs, {digest: found for digest, found in pieces.items() if found})


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
    return Piece(number(offset), number(size), text(found))


def number(value: Any) -> int:
    """Returns a natural number of foreign JSON; ValueError for anything else."""
    if type(value) is not int or not 0 <= value < 1 << 62:
        raise ValueError(value)
    return value


def text(value: Any) -> str:
    """Returns a text of foreign JSON; TypeError for anything else."""
    if not isinstance(value, str):
        raise TypeError(value)
    return value
