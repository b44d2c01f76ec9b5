"""Bytes and their names: digests, descriptors, media types, and streams that are verified against their descriptor.

Section numbers refer to the OCI image specification 1.1 (descriptor.md). Nothing here opens a file or a connection.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from modelcrate_layers.errors import IntegrityError, UserError
from modelcrate_layers.frozen import dataclass, field

CHUNK = 1 << 20
"""How many bytes a stream hands over at a time: large enough for OpenSSL and sockets, small enough to stay flat."""

MAX_JSON = 8 << 20
"""The largest manifest, index or config that is read (distribution-spec requires registries to accept 4 MiB at least)."""

MAX_MEDIA_TYPE = 255
"""The longest media type: two names of 127 characters (RFC 6838, 4.2)."""

_HEX = {"sha256": 64, "sha512": 128}


class MediaType:
    """The media types of section media-types.md, and Docker's equivalents."""

    INDEX = "application/vnd.oci.image.index.v1+json"
    MANIFEST = "application/vnd.oci.image.manifest.v1+json"
    CONFIG = "application/vnd.oci.image.config.v1+json"
    LAYER = "application/vnd.oci.image.layer.v1.tar"
    LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
    LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
    EMPTY = "application/vnd.oci.empty.v1+json"
    DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
    DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
    DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
    DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
    DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    DOCKER_LAYER_ZSTD = "application/vnd.docker.image.rootfs.diff.tar.zstd"
    """BuildKit writes it for zstd layers of images with Docker's media types."""

    MANIFESTS = frozenset({MANIFEST, DOCKER_MANIFEST})
    INDEXES = frozenset({INDEX, DOCKER_INDEX})


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """The name of some bytes: an algorithm and lower-case hex. Safe in paths and URLs once it exists (`Digest.parse` checks)."""

    algorithm: str
    hex: str

    def __post_init__(self) -> None:
        if len(self.hex) != _HEX.get(self.algorithm, -1) or self.hex.strip("0123456789abcdef"):
            raise IntegrityError(
                f"not a digest: {f'{self.algorithm}:{self.hex}'[:100]!r}",
                hint="expected sha256: and 64 lower-case hex digits",
            )

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"

    @property
    def short(self) -> str:
        """The first twelve hex digits, as engines list image ids."""
        return self.hex[:12]

    @classmethod
    def parse(cls, text: object) -> Digest:
        """Parses `sha256:` or `sha512:` and hex; anything else is an IntegrityError."""
        algorithm, _, digits = text.partition(":") if isinstance(text, str) else ("", "", repr(text))
        return cls(algorithm, digits)

    @classmethod
    def of(cls, data: bytes) -> Digest:
        """Returns the SHA-256 of these bytes."""
        return cls("sha256", hashlib.sha256(data).hexdigest())


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A promise about bytes: what they are, their digest and their size in bytes (descriptor.md).

    `annotations` and `platform` are carried as they came; `rest` keeps members that we do not know.
    """

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    platform: Mapping[str, Any] | None = field(default=None, hash=False)
    rest: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def json(self) -> dict[str, Any]:
        """Returns the descriptor as a JSON object, members in no particular order."""
        out: dict[str, Any] = {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size, **self.rest}
        if self.annotations:
            out["annotations"] = dict(self.annotations)
        if self.platform is not None:
            out["platform"] = dict(self.platform)
        return out

    @classmethod
    def parse(cls, value: object) -> Descriptor:
        """Parses a descriptor out of foreign JSON; anything malformed is an IntegrityError that names the member."""
        if not isinstance(value, dict):
            raise IntegrityError(f"not a descriptor: {value!r:.80}")
        media_type, size = value.get("mediaType"), value.get("size")
        if not isinstance(media_type, str) or not 0 < len(media_type) <= MAX_MEDIA_TYPE:
            raise IntegrityError(f"a descriptor has no mediaType that could be one: {media_type!r:.80}")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 1 << 63:
            raise IntegrityError(f"a descriptor's size is not a size: {size!r:.80}")
        notes, platform = value.get("annotations") or {}, value.get("platform")
        if not isinstance(notes, dict) or not all(isinstance(v, str) for v in notes.values()):
            raise IntegrityError("a descriptor's annotations are not a map of strings")
        if platform is not None and not isinstance(platform, dict):
            raise IntegrityError("a descriptor's platform is not an object")
        rest = {k: v for k, v in value.items() if k not in {"mediaType", "digest", "size", "annotations", "platform"}}
        return cls(media_type, Digest.parse(value.get("digest")), size, notes, platform, rest)

    @classmethod
    def of(cls, data: bytes, media_type: str) -> Descriptor:
        """Returns the descriptor of these bytes."""
        return cls(media_type, Digest.of(data), len(data))


class Blob(Protocol):
    """Bytes with a descriptor that can be streamed as often as one likes, from any offset."""

    @property
    def descriptor(self) -> Descriptor:
        """The descriptor of the bytes."""

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """Yields the bytes from `start` to the end, in pieces of about CHUNK.

        A stream from 0 is verified. Where the bytes don't match the descriptor, it raises IntegrityError (or SourceError, naming the file that
        changed) instead of ending.
        """
        ...


@dataclass(frozen=True, slots=True)
class Literal:
    """A blob whose bytes are at hand: configs, manifests, indexes."""

    data: bytes
    media_type: str

    @property
    def descriptor(self) -> Descriptor:
        """The descriptor of the bytes."""
        return Descriptor.of(self.data, self.media_type)

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """Yields the bytes from `start` to the end, as one piece."""
        if start < len(self.data):
            yield self.data[start:]


def verified(chunks: Iterable[bytes], descriptor: Descriptor, where: str = "") -> Iterator[bytes]:
    """Yields the same chunks, and ends in an IntegrityError where size or digest are not the descriptor's.

    It stops as soon as there is one byte too many, so that a lying source can't fill a disk.
    """
    hashed, size = hashlib.new(descriptor.digest.algorithm), 0
    for chunk in chunks:
        size += len(chunk)
        if size > descriptor.size:
            break
        hashed.update(chunk)
        yield chunk
    if size != descriptor.size:
        more = "more than" if size > descriptor.size else f"{size} of"
        raise IntegrityError(f"{descriptor.digest} has the wrong size: got {more} {descriptor.size} bytes", where=where)
    if hashed.hexdigest() != descriptor.digest.hex:
        raise IntegrityError(
            f"bytes are not what their digest says: claimed {descriptor.digest}, "
            f"computed {descriptor.digest.algorithm}:{hashed.hexdigest()}",
            where=where,
        )


def canonical_json(value: object) -> bytes:
    """Serialises a document that has an identity: sorted keys, no spaces, UTF-8. Do it once, and keep the bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def parse_natural(text: str, digits: int = 18) -> int | None:
    """Returns the natural number that a foreign text writes in ASCII digits; None for any other text, and for more than `digits`."""
    return int(text) if len(text) <= digits and text.isascii() and text.isdigit() else None


def expect_natural(value: Any) -> int:
    """Returns a natural number of foreign JSON; ValueError for anything else."""
    if type(value) is not int or not 0 <= value < 1 << 62:
        raise ValueError(value)
    return value


def expect_text(value: Any) -> str:
    """Returns a text of foreign JSON; TypeError for anything else."""
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def parse_json(data: bytes, where: str = "", limit: int = MAX_JSON) -> Any:
    """Parses foreign JSON: at most `limit` bytes of UTF-8, no duplicate keys, no NaN; anything else is an IntegrityError."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a key stands twice in one object")
        return found

    def refuse(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    if len(data) > limit:
        raise IntegrityError(f"a document of {len(data)} bytes; the limit is {limit}", where=where)
    try:
        value = json.loads(data.decode(), object_pairs_hook=unique, parse_constant=refuse)
        if b"\\u" in data:  # an escape may be half of a surrogate pair, which is no text and can't be written again
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except (ValueError, RecursionError) as fault:
        raise IntegrityError(f"not valid JSON: {fault}", where=where) from None


def parse_object(data: bytes, where: str = "") -> dict[str, Any]:
    """Parses foreign JSON that has to be an object."""
    value = parse_json(data, where)
    if not isinstance(value, dict):
        raise IntegrityError("not a JSON object", where=where)
    return value


_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "i386": ("386", ""),
}
"""Other spellings of architectures, and the variants they imply: those that containerd reads."""

_DEFAULT_VARIANTS = {"amd64": "v1", "arm64": "v8"}
"""The variants that an architecture means when none is given."""


@dataclass(frozen=True, slots=True)
class Platform:
    """Where an image runs, in Go's names (image-index.md)."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    def json(self) -> dict[str, str]:
        """Returns the platform as a config or an index writes it; `variant` only where it has one."""
        out = {"architecture": self.architecture, "os": self.os}
        return {**out, "variant": self.variant} if self.variant else out

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Returns the platform of a text such as `linux/arm64/v8`; a UserError if it is not one."""
        parts = text.split("/")
        if len(parts) not in (2, 3) or not all(re.fullmatch(r"[a-z0-9._-]+", part) for part in parts):
            raise UserError(f"not a platform: {text!r}", hint="expected for instance linux/amd64 or linux/arm64")
        return cls.of(dict(zip(("os", "architecture", "variant"), parts, strict=False)))

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Platform:
        """Reads a platform object of a descriptor, or an image config, in any spelling; without an os it is Linux."""
        os, given, variant = (str(value.get(name) or "").lower() for name in ("os", "architecture", "variant"))
        architecture, implied = _ARCHITECTURES.get(given, (given, ""))
        return cls(os or "linux", architecture, variant or implied)

    @property
    def level(self) -> int:
        """The variant as a number, 0 for the plainest: an image of a lower level runs on more machines."""
        digits = re.sub(r"[^0-9]", "", self._exact)
        return 0 if self._exact == _DEFAULT_VARIANTS.get(self.architecture) else int(digits[:4] or 0)

    @property
    def _exact(self) -> str:
        variant = f"v{self.variant}" if self.variant.isdigit() else self.variant
        return variant or _DEFAULT_VARIANTS.get(self.architecture, "")

    def matches(self, other: Mapping[str, Any] | None) -> bool:
        """Returns whether a platform object or an image config means this platform; without a variant any variant does."""
        if other is None:
            return False
        offered = Platform.of(other)
        if (offered.os, offered.architecture) != (self.os, self.architecture):
            return False
        return not self.variant or offered._exact == self._exact
