"""A bundle that was made: a tar with an OCI layout of several images, which may leave out what its receiver has.

| member                   | what                                                                                          |
|--------------------------|-----------------------------------------------------------------------------------------------|
| oci-layout, index.json   | as the image specification has them; an image's name is in its `org.opencontainers.image.ref.name` |
| modelcrate-bundle.json   | what is left out, and which layers are made of earlier ones                                    |
| blobs/sha256/HEX         | manifests, configs, layers, documents beside images                                            |
| pieces/sha256/HEX        | what the earlier layer lacks of the layer HEX                                                  |

A bundle that leaves nothing out is an OCI archive for every other tool. It is foreign: all of it is checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from functools import partial
from pathlib import Path
from typing import Any

from modelcrate.bundles.inventory import STORE, Known
from modelcrate.bundles.parts import Parts, find_parts
from modelcrate.bundles.pieces import Step
from modelcrate.bundles.receivers import Receiver
from modelcrate.images.artifact import Artifact
from modelcrate.images.manifests import ArtifactFilter
from modelcrate.images.reading import Found
from modelcrate.images.reference import Reference, is_registry, is_repository
from modelcrate_layers.content import (
    MAX_JSON,
    Blob,
    Descriptor,
    Digest,
    expect_natural,
    expect_text,
    parse_json,
    verified,
)
from modelcrate_layers.errors import IntegrityError, UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.store import REF_NAME
from modelcrate_layers.tar.reader import Limits, Place, index_tar
from modelcrate_layers.tar.tree import show

NOTES = "modelcrate-bundle.json"
VERSION = 1

MAX_NOTES = 64 << 20
"""Bytes of what a bundle says of itself: 100,000 steps of layers have some two MiB."""

MAX_IMAGES = 10_000
"""Images of one bundle."""

MAX_LEFT_OUT = 100_000
"""Blobs that a bundle leaves out; its target is asked for each of them."""

_BLOBS, _PIECES = "blobs", "pieces"
MAX_MEMBERS = 500_000
"""Files of one bundle."""

_NAMED = re.compile(rb"(?:blobs|pieces)/(?:sha256/[0-9a-f]{64}|sha512/[0-9a-f]{128})")


@dataclass(frozen=True, slots=True)
class Rebuild:
    """How a layer is made: of an earlier layer that the receiver has, and of pieces in the bundle."""

    old: Digest
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Bundle:
    """An open bundle.

    Attributes:
        parts: Its files.
        place: The registry whose inventory it was made for, or `store`; empty if it leaves nothing out.
        images: The images' descriptors by their names.
        left_out: The blobs that the receiver has.
        rebuilds: The layers that are made of earlier ones.
    """

    parts: Parts = field(repr=False)
    members: Mapping[bytes, Place] = field(repr=False, hash=False)
    place: str
    images: Mapping[str, Descriptor] = field(hash=False)
    left_out: Mapping[Digest, Known] = field(hash=False, repr=False)
    rebuilds: Mapping[Digest, Rebuild] = field(hash=False, repr=False)

    @classmethod
    def open(cls, path: Path) -> Bundle:
        """Reads what a bundle has, and no blob of it.

        Raises:
            SourceError: It is not there, or a part is missing.
            IntegrityError: It is damaged, or no bundle.
        """
        parts = find_parts(path)
        try:
            with parts.open() as file:
                members = index_tar(file, Limits(members=MAX_MEMBERS))
            return cls._of(parts, members)
        except IntegrityError as fault:
            raise IntegrityError(fault.what, where=fault.where or parts.where, why=fault.why, hint=fault.hint) from None

    @classmethod
    def _of(cls, parts: Parts, members: Mapping[bytes, Place]) -> Bundle:
        if NOTES.encode() not in members:
            raise IntegrityError("is no bundle", hint=f"it has no {NOTES}; modelcrate copy reads OCI archives")
        index, notes = (
            _json(parts, members, name, limit) for name, limit in (("index.json", MAX_JSON), (NOTES, MAX_NOTES))
        )
        try:
            if notes["version"] != VERSION:
                raise IntegrityError(f"is a bundle of version {notes['version']!r:.20}")
            listed = [Descriptor.parse(each) for each in index["manifests"]]
            images = {_name(each): each for each in listed}
            if not images or len(images) != len(listed) or len(images) > MAX_IMAGES:
                raise IntegrityError("has no image, two of one name, or too many")
            if len(notes["left-out"]) > MAX_LEFT_OUT:
                raise IntegrityError(f"leaves out more than {MAX_LEFT_OUT} blobs")
            left_out = {Digest.parse(key): _known(each) for key, each in notes["left-out"].items()}
            rebuilds = {Digest.parse(key): _rebuild(each) for key, each in notes["rebuilds"].items()}
            _refuse_foreign(members, rebuilds)
            return cls(parts, members, _place(notes["place"]), images, left_out, rebuilds)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise IntegrityError(f"has an {NOTES} or index.json that no bundle has") from None

    def surplus(self, wanted: Iterable[Digest]) -> list[str]:
        """Returns the blobs that are in it, whole or as pieces, and that none of its images has.

        Args:
            wanted: The digests of all blobs of its images.
        """
        known = {_member(folder, digest) for digest in wanted for folder in (_BLOBS, _PIECES)}
        return [show(name) for name in self.members if _NAMED.fullmatch(name) and name not in known]

    def found(self, name: str, receiver: Receiver) -> Found:
        """Returns an image of the bundle, one of `images`. What the bundle leaves out is the receiver's."""
        return Found(BundleCollection(self, receiver), self.images[name])


@dataclass(frozen=True, slots=True)
class BundleCollection:
    """The images of a bundle, together with what its receiver has. See `images.manifests.Collection`."""

    bundle: Bundle
    receiver: Receiver

    @property
    def where(self) -> str:
        """The path of the bundle."""
        return self.bundle.parts.where

    def read(self, descriptor: Descriptor) -> bytes:
        """Returns the bytes of a document.

        Raises:
            IntegrityError: The document is missing, damaged, or larger than MAX_JSON.
        """
        if descriptor.size > MAX_JSON:
            raise IntegrityError(f"a document of {descriptor.size} bytes; the limit is {MAX_JSON}", where=self.where)
        return b"".join(self.blob(descriptor).chunks())

    def blob(self, descriptor: Descriptor) -> Blob:
        """Returns a blob: of the bundle, of the receiver, or made of both. It is read when its chunks are taken.

        Raises:
            IntegrityError: The bundle has no such blob, or one of another size.
        """
        bundle, digest = self.bundle, descriptor.digest
        if (place := bundle.members.get(_member(_BLOBS, digest))) is not None:
            if place.size != descriptor.size:
                raise IntegrityError(f"has {place.size} bytes for {digest}, not {descriptor.size}", where=self.where)
            return PartsBlob(bundle.parts, descriptor, place.offset)
        if (rebuild := bundle.rebuilds.get(digest)) is not None:
            return self._rebuilt(descriptor, rebuild)
        if (known := bundle.left_out.get(digest)) is not None and known.size == descriptor.size:
            return self.receiver.blob(descriptor, known.repository)
        raise IntegrityError(f"has no blob {digest} of {descriptor.size} bytes", where=self.where)

    def beside(self, digest: Digest, wanted: ArtifactFilter | None = None) -> list[Artifact]:
        """Returns nothing: what is beside an image is in the index that its entry names."""
        return []

    def _rebuilt(self, descriptor: Descriptor, rebuild: Rebuild) -> Blob:
        bundle = self.bundle
        pieces, known = bundle.members.get(_member(_PIECES, descriptor.digest)), bundle.left_out.get(rebuild.old)
        fresh = sum(each.size for each in rebuild.steps if each.old is None)
        whole = sum(each.size for each in rebuild.steps)
        if (
            pieces is None
            or known is None
            or pieces.size != fresh
            or whole != descriptor.size
            or any(each.old is not None and each.old + each.size > known.size for each in rebuild.steps)
        ):
            raise IntegrityError(f"has steps that can't make {descriptor.digest}", where=self.where)
        earlier = Descriptor(descriptor.media_type, rebuild.old, known.size)
        old = partial(self.receiver.file, earlier, known.repository)
        return RebuiltBlob(descriptor, rebuild.steps, old, bundle.parts, pieces.offset)


@dataclass(frozen=True, slots=True)
class PartsBlob:
    """A blob that is `descriptor.size` bytes of a bundle, from `offset` on."""

    parts: Parts
    descriptor: Descriptor
    offset: int

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """Yields the bytes from `start` to the end. A stream from 0 is verified."""
        chunks = self.parts.chunks(self.offset + start, self.descriptor.size - start)
        return chunks if start else verified(chunks, self.descriptor, self.parts.where)


@dataclass(frozen=True, slots=True)
class RebuiltBlob:
    """A layer that is made of an earlier one, which `old` fetches, and of bytes of a bundle from `offset` on."""

    descriptor: Descriptor
    steps: tuple[Step, ...]
    old: Callable[[], Blob] = field(hash=False)
    parts: Parts
    offset: int

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """Yields the bytes from `start` to the end. A stream from 0 is verified."""
        chunks = self._made(start)
        return chunks if start else verified(chunks, self.descriptor, self.parts.where)

    def _made(self, start: int) -> Iterator[bytes]:
        fresh = self.offset
        earlier = self.old() if any(each.old is not None for each in self.steps) else None
        for size, old in self.steps:
            skipped = min(start, size)
            start -= skipped
            if old is None or earlier is None:
                yield from self.parts.chunks(fresh + skipped, size - skipped)
                fresh += size
            else:
                yield from _range(earlier, old + skipped, size - skipped)


def _range(blob: Blob, offset: int, size: int) -> Iterator[bytes]:
    chunks = blob.chunks(offset) if size else iter(())
    while size and (chunk := next(chunks, b"")):
        yield chunk[:size]
        size -= min(size, len(chunk))


def _member(folder: str, digest: Digest) -> bytes:
    return f"{folder}/{digest.algorithm}/{digest.hex}".encode()


def _json(parts: Parts, members: Mapping[bytes, Place], name: str, limit: int) -> dict[str, Any]:
    place = members.get(name.encode())
    if place is None or place.size > limit:
        raise IntegrityError(f"has no {name}, or one of more than {limit} bytes")
    value = parse_json(b"".join(parts.chunks(place.offset, place.size)), limit=limit)
    if not isinstance(value, dict):
        raise IntegrityError(f"has an {name} that is no object")
    return value


def _name(entry: Descriptor) -> str:
    """Returns the name of an image, which becomes part of URLs and of what is printed."""
    name = entry.annotations[REF_NAME]
    try:
        named = Reference.parse(name).digest
    except UserError as fault:
        raise IntegrityError(f"has an image with a name that is none: {name!r:.200}", why=fault.why) from None
    if named not in (None, entry.digest):
        raise IntegrityError(f"has an image with the digest of another in its name: {name!r:.200}")
    return name


def _known(value: Any) -> Known:
    size, repository = value
    if repository and not is_repository(expect_text(repository)):
        raise ValueError(repository)
    return Known(expect_natural(size), expect_text(repository))


def _place(value: Any) -> str:
    place = expect_text(value)
    if place not in ("", STORE) and not is_registry(place):
        raise ValueError(place)
    return place


def _refuse_foreign(members: Iterable[bytes], rebuilds: Mapping[Digest, Rebuild]) -> None:
    """Refuses files that no bundle has, and pieces of layers that it does not say how to make."""
    pieces = {_member(_PIECES, digest) for digest in rebuilds}
    for name in members:
        known = _NAMED.fullmatch(name) or name in (b"oci-layout", b"index.json", NOTES.encode())
        if not known or (name.startswith(b"pieces/") and name not in pieces):
            raise IntegrityError(f"has a file that no bundle has: {show(name)!r:.200}")


def _rebuild(value: Any) -> Rebuild:
    old, steps = value
    return Rebuild(
        Digest.parse(old),
        tuple(Step(expect_natural(size), None if at is None else expect_natural(at)) for size, at in steps),
    )
