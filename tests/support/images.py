"""Small blobs and images to push, and a clock that does not wait."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from modelcrate_layers.content import Descriptor, Digest, Literal, MediaType, canonical_json


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


@dataclass
class Memory:
    """A blob in memory that notes from where it was read; `step` is the size of its pieces."""

    data: bytes
    media_type: str = MediaType.LAYER
    step: int = 1 << 16
    starts: list[int] = field(default_factory=list)

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor.of(self.data, self.media_type)

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        self.starts.append(start)
        for at in range(start, len(self.data), self.step):
            yield self.data[at : at + self.step]


@dataclass
class Cold:
    """A stream without a name, until it was read."""

    data: bytes
    length: int | None = None
    key: str | None = None
    label: str = ""
    passes: int = 0
    hashed: str = ""

    def __iter__(self) -> Iterator[bytes]:
        self.passes += 1
        digest = hashlib.sha256()
        for at in range(0, len(self.data), 1 << 16):
            digest.update(self.data[at : at + (1 << 16)])
            yield self.data[at : at + (1 << 16)]
        self.hashed = digest.hexdigest()

    @property
    def descriptor(self) -> Descriptor:
        assert self.hashed, "asked for its name before it was read"
        return Descriptor(MediaType.LAYER, Digest("sha256", self.hashed), len(self.data))


def image(*layers: Memory, subject: Descriptor | None = None, kind: str = "") -> tuple[list[Literal | Memory], Literal]:
    """Blobs and manifest of an image over these layers."""
    config = Literal(
        b'{"architecture":"amd64","os":"linux","rootfs":{"diff_ids":[],"type":"layers"}}', MediaType.CONFIG
    )
    manifest = {"schemaVersion": 2, "mediaType": MediaType.MANIFEST, "config": config.descriptor.json()}
    manifest |= {"layers": [one.descriptor.json() for one in layers]}
    manifest |= {"subject": subject.json()} if subject else {}
    manifest |= {"artifactType": kind} if kind else {}
    return [config, *layers], Literal(canonical_json(manifest), MediaType.MANIFEST)


@dataclass
class StillClock:
    """Time passes only when somebody sleeps. `slept` holds every wait."""

    time: float = 1_800_000_000.0
    chance: float = 1.0
    slept: list[float] = field(default_factory=list)
    on_sleep: Callable[[], None] = lambda: None

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds
        self.on_sleep()

    def draw(self) -> float:
        return self.chance
