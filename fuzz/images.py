"""Images out of any bytes: documents that name each other by their digests, which no mutation of plain bytes would keep.

The bytes are documents with a line of a dash between them. Where one says `@2` or `#2`, the digest or the size of the second after it is put,
so that the parsers behind the digests are reached, too.
"""

from __future__ import annotations

import io
import re
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from modelcrate.images.artifact import Artifact
from modelcrate.images.manifests import ArtifactFilter
from modelcrate.images.reading import Found
from modelcrate.security.signing.verifying import verify
from modelcrate.transports import docker_archive, oci_archive
from modelcrate.transports import oci as layouts
from modelcrate_layers.content import Descriptor, Digest, Literal, MediaType
from modelcrate_layers.errors import CrateError, IntegrityError

MAX_DOCUMENTS = 12


@cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="modelcrate-fuzz-")


def documents(data: bytes) -> list[bytes]:
    """The documents, their references resolved: each may name those behind it."""
    parts = data.split(b"\n-\n")[:MAX_DOCUMENTS]
    for at in reversed(range(len(parts))):
        behind = parts[at + 1 :]

        def put(match: re.Match[bytes], behind: list[bytes] = behind) -> bytes:
            place = int(match[2]) - 1
            if not 0 <= place < len(behind):
                return match[0]
            named = behind[place]
            return str(Digest.of(named)).encode() if match[1] == b"@" else b"%d" % len(named)

        parts[at] = re.sub(rb"([@#])([0-9]{1,2})", put, parts[at])
    return parts


@dataclass(frozen=True, slots=True)
class _Documents:
    """A collection in memory."""

    documents: Mapping[Digest, bytes]
    where: str = "there"

    def read(self, descriptor: Descriptor) -> bytes:
        if (data := self.documents.get(descriptor.digest)) is None:
            raise IntegrityError("has no such document")
        return data

    def blob(self, descriptor: Descriptor) -> Literal:
        return Literal(self.read(descriptor), descriptor.media_type)

    def beside(self, digest: Digest, wanted: ArtifactFilter | None = None) -> list[Artifact]:
        return []


def looked_at(found: Found) -> None:
    """All that is asked of an image that exists."""
    for ask in (found.read, found.image, found.graph, found.copy, lambda: verify(found, (), "there")):
        with suppress(CrateError):
            ask()


def manifest(data: bytes) -> None:
    """The first document is the root: a manifest, or an index, if it has manifests."""
    parts = documents(data)
    kind = MediaType.INDEX if b'"manifests"' in parts[0] else MediaType.MANIFEST
    root = Descriptor(kind, Digest.of(parts[0]), len(parts[0]))
    looked_at(Found(_Documents({Digest.of(each): each for each in parts}), root))


def layout(data: bytes) -> None:
    """The first document is index.json, the others are blobs."""
    index, *blobs = documents(data)
    root = Path(_scratch().name) / "layout"
    shutil.rmtree(root, ignore_errors=True)
    (root / "blobs/sha256").mkdir(parents=True)
    (root / "oci-layout").write_bytes(b'{"imageLayoutVersion":"1.0.0"}')
    (root / "index.json").write_bytes(index)
    for each in blobs:
        (root / "blobs/sha256" / Digest.of(each).hex).write_bytes(each)
    looked_at(layouts.find(root, None))


def archive(data: bytes) -> None:
    """The first document is index.json, the second manifest.json, the others are blobs, also by their numbers."""
    index, *rest = documents(data)
    named = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": index}
    named |= {"manifest.json": rest[0]} if rest else {}
    for number, each in enumerate(rest[1:], 2):
        named |= {f"blobs/sha256/{Digest.of(each).hex}": each, str(number): each}
    path = Path(_scratch().name) / "image.tar"
    path.write_bytes(tar_of(named))
    for look in (lambda: oci_archive.find(path), lambda: docker_archive.find(path, "a:1")):
        with suppress(CrateError):
            looked_at(look())
    looked_at(docker_archive.find(path))


def tar_of(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            made.addfile(member, io.BytesIO(data))
    return out.getvalue()
