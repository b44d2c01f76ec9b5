"""A bundle that was made: a tar with an OCI layout of several images, which may leave out what its receiver has.

| member                   | what                                                                                          |
|--------------------------|-----------------------------------------------------------------------------------------------|
| oci-layout, index.json   | as the image specification has them; an image's name is in its `org.opencontainers.image.ref.name` |
| modelcrate-bundle.json   | what is left out, and which layers are made of earlier ones                                    |
| blobs/sha256/HEX         | manifests, configs, layers, documents beside images                                            |
| pieces/sha256/HEX        | what the earlier layer lacks of the layer HEX                                                  |
| packages/sha256/HEX      | wheels and other packages, for builds over there                                               |
| tools/NAME               | modelcrate itself                                                                              |

A bundle that leaves nothing out is an OCI archive for every other tool. It is foreign: all of it is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from modelcrate.bundles.notes import (
    BLOBS,
    NOTES,
    PIECES,
    Notes,
    Rebuild,
    image_name,
    member,
    package_member,
    refuse_many,
)
from modelcrate.bundles.parts import Parts, find_parts
from modelcrate.bundles.pieces import Step
from modelcrate.bundles.receivers import Receiver
from modelcrate.images.artifact import Artifact
from modelcrate.images.manifests import ArtifactFilter
from modelcrate.images.reading import Found
from modelcrate.resolve.pinned import Pinned
from modelcrate_layers.content import (
    CHUNK,
    MAX_JSON,
    Blob,
    Descriptor,
    Digest,
    parse_json,
    verified,
)
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.packages.pinned import Package
from modelcrate_layers.tar.reader import BLOCK, LIMITS, Limits, Place, index_tar
from modelcrate_layers.tar.tree import show

MAX_NOTES = 64 << 20
"""Bytes of what a bundle says of itself: 100,000 steps of layers have some two MiB."""

MAX_IMAGES = 10_000
"""Images of one bundle."""

MAX_MEMBERS = 500_000
"""Files of one bundle."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """An open bundle.

    Attributes:
        parts: Its files.
        members: The places of its members.
        images: The images' descriptors by their names.
        notes: What it leaves out, how layers are made of earlier ones, and what it has beside images.
    """

    parts: Parts = field(repr=False)
    members: Mapping[bytes, Place] = field(repr=False, hash=False)
    images: Mapping[str, Descriptor] = field(hash=False)
    notes: Notes = field(hash=False, repr=False)

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
                _refuse_rest(file)
            return cls._of(parts, members)
        except IntegrityError as fault:
            _refuse_other(parts)
            raise IntegrityError(fault.what, where=fault.where or parts.where, why=fault.why, hint=fault.hint) from None

    @classmethod
    def _of(cls, parts: Parts, members: Mapping[bytes, Place]) -> Bundle:
        if NOTES.encode() not in members:
            raise IntegrityError("is no bundle", hint=f"it has no {NOTES}; modelcrate copy reads OCI archives")
        index, told = (
            _json(parts, members, name, limit) for name, limit in (("index.json", MAX_JSON), (NOTES, MAX_NOTES))
        )
        try:
            listed = [Descriptor.parse(each) for each in index["manifests"]]
            images = {image_name(each): each for each in listed}
            if not images or len(images) != len(listed) or len(images) > MAX_IMAGES:
                raise IntegrityError("has no image, two of one name, or too many")
            notes = Notes.parse(told)
            notes.refuse_foreign(members)
            return cls(parts, members, images, notes)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise IntegrityError(f"{NOTES} or index.json is not what a bundle has") from None

    def file(self, name: bytes, descriptor: Descriptor) -> PartsBlob:
        """Returns a file of it.

        Raises:
            IntegrityError: It is not there, or has another size.
        """
        place = self.members.get(name)
        if place is None or place.size != descriptor.size:
            raise IntegrityError(f"has no {show(name)} of {descriptor.size} bytes", where=self.parts.where)
        return PartsBlob(self.parts, descriptor, place.offset)

    def package(self, package: Pinned[Package]) -> PartsBlob:
        """Returns a package of it, with the hash and the size by which it is pinned.

        Raises:
            IntegrityError: It is not there, or has another size.
        """
        name = package_member(package)
        size = self.members[name].size if package.size is None and name in self.members else package.size or 0
        return self.file(name, Descriptor("application/octet-stream", Digest("sha256", package.sha256), size))

    def surplus(self, wanted: Iterable[Digest]) -> list[str]:
        """Returns the blobs that are in it, whole, as pieces or as steps, and that none of its images has.

        Args:
            wanted: The digests of all blobs of its images.
        """
        known = {member(folder, digest) for digest in wanted for folder in (BLOBS, PIECES)}
        made = (member(PIECES, digest) for digest in self.notes.rebuilds)
        there = dict.fromkeys([*self.members, *made])
        return [show(name) for name in there if name.startswith((b"blobs/", b"pieces/")) and name not in known]

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
        if (place := bundle.members.get(member(BLOBS, digest))) is not None:
            if place.size != descriptor.size:
                raise IntegrityError(f"has {place.size} bytes for {digest}, not {descriptor.size}", where=self.where)
            return PartsBlob(bundle.parts, descriptor, place.offset)
        if (rebuild := bundle.notes.rebuilds.get(digest)) is not None:
            return self._rebuilt(descriptor, rebuild)
        if (known := bundle.notes.left_out.get(digest)) is not None and known.size == descriptor.size:
            return self.receiver.blob(descriptor, known.repository)
        raise IntegrityError(f"has no blob {digest} of {descriptor.size} bytes", where=self.where)

    def beside(self, digest: Digest, wanted: ArtifactFilter | None = None) -> list[Artifact]:
        """Returns nothing: what is beside an image is in the index that its entry names."""
        return []

    def _rebuilt(self, descriptor: Descriptor, rebuild: Rebuild) -> Blob:
        bundle = self.bundle
        pieces, known = bundle.members.get(member(PIECES, descriptor.digest)), bundle.notes.left_out.get(rebuild.old)
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


def _refuse_other(parts: Parts) -> None:
    """Refuses what is no tar of a bundle from its first bytes on: what a reader says of such bytes tells nobody that it is another file."""
    with parts.open() as file:
        head = file.read(BLOCK)
    if head[257:262] != b"ustar":
        why = "it is compressed: unpack it first" if head[:2] == b"\x1f\x8b" or head[:4] == b"\x28\xb5\x2f\xfd" else ""
        raise IntegrityError("is no bundle, or damaged at its beginning", where=parts.where, why=why)


def _refuse_rest(file: BinaryIO) -> None:
    """Refuses bytes behind the end of a tar, where the file stands: a part of another bundle, for instance."""
    size = 0
    while chunk := file.read(CHUNK):
        size += len(chunk)
        if size > LIMITS.trailer or chunk.strip(b"\0"):
            raise IntegrityError(
                "has bytes behind its end",
                hint="are all of its parts of one bundle? NAME.sha256 has the hashes of the parts",
            )


def _json(parts: Parts, members: Mapping[bytes, Place], name: str, limit: int) -> dict[str, Any]:
    place = members.get(name.encode())
    if place is None or place.size > limit:
        raise IntegrityError(f"has no {name}, or one of more than {limit} bytes")
    data = b"".join(parts.chunks(place.offset, place.size))
    if name == NOTES:
        refuse_many(data)
    value = parse_json(data, limit=limit)
    if not isinstance(value, dict):
        raise IntegrityError(f"its {name} is no object")
    return value
