"""OCI layouts whose layers are tars of one file that does not shrink, for whoever pushes them."""

from __future__ import annotations

import hashlib
import random
import tarfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from bench.corpora import PIECE
from modelcrate_layers.content import Descriptor, Digest, Literal, MediaType, canonical_json


def layer(path: Path, size: int, rng: random.Random) -> Descriptor:
    """A tar of a file of that many random bytes, and its descriptor."""
    member = tarfile.TarInfo("srv/noise")
    member.size = size
    digest, total = hashlib.sha256(), 0
    with path.open("wb") as file:
        for piece in chain([member.tobuf()], _noise(size, rng), [bytes(-size % 512 + 1024)]):
            digest.update(piece)
            total += file.write(piece)
    return Descriptor(MediaType.LAYER, Digest("sha256", digest.hexdigest()), total)


def _noise(size: int, rng: random.Random) -> Iterator[bytes]:
    for start in range(0, size, PIECE):
        yield rng.randbytes(min(PIECE, size - start))


def layout(folder: Path, count: int, size: int, seed: int = 5) -> None:
    """A layout with one image of so many uncompressed layers, tagged x."""
    rng = random.Random(seed)
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    layers = []
    for _ in range(count):
        one = layer(blobs / "new", size, rng)
        (blobs / "new").rename(blobs / one.digest.hex)
        layers.append(one)
    diffs = [str(one.digest) for one in layers]
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diffs}}
    settings = Literal(canonical_json(config), MediaType.CONFIG)
    document = {"schemaVersion": 2, "mediaType": MediaType.MANIFEST, "config": settings.descriptor.json()}
    manifest = Literal(canonical_json(document | {"layers": [one.json() for one in layers]}), MediaType.MANIFEST)
    for literal in (settings, manifest):
        (blobs / literal.descriptor.digest.hex).write_bytes(literal.data)
    named = {**manifest.descriptor.json(), "annotations": {"org.opencontainers.image.ref.name": "x"}}
    (folder / "index.json").write_bytes(canonical_json({"schemaVersion": 2, "manifests": [named]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
