"""Images as OCI layouts, written by hand: no writer under test has a part in them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelcrate_layers.content import Descriptor, Literal, MediaType, canonical_json


def write_layout(
    folder: Path, layers: Sequence[Literal], config: Mapping[str, Any], machine: str = "amd64", system: str = "linux"
) -> str:
    """A layout of one image; returns its address."""
    manifest, blobs = _image(layers, config, machine, system)
    _write(folder, [*blobs, manifest], _named(manifest, MediaType.MANIFEST))
    return f"oci:{folder}:1"


def write_index(folder: Path, images: Mapping[str, tuple[Sequence[Literal], Mapping[str, Any]]]) -> str:
    """A layout of an index with an image for each machine; returns its address."""
    blobs, listed = [], []
    for machine, (layers, config) in images.items():
        manifest, below = _image(layers, config, machine)
        blobs += [*below, manifest]
        listed.append(manifest.descriptor.json() | {"platform": {"os": "linux", "architecture": machine}})
    document = {"schemaVersion": 2, "mediaType": MediaType.INDEX, "manifests": listed}
    index = Literal(canonical_json(document), MediaType.INDEX)
    _write(folder, [*blobs, index], _named(index, MediaType.INDEX))
    return f"oci:{folder}:1"


def _image(
    layers: Sequence[Literal], config: Mapping[str, Any], machine: str, system: str = "linux"
) -> tuple[Literal, list[Literal]]:
    rootfs = {"type": "layers", "diff_ids": [str(blob.descriptor.digest) for blob in layers]}
    document = {"architecture": machine, "os": system, "config": dict(config), "rootfs": rootfs}
    held = Literal(canonical_json(document), MediaType.CONFIG)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MediaType.MANIFEST,
        "config": held.descriptor.json(),
        "layers": [blob.descriptor.json() for blob in layers],
    }
    return Literal(canonical_json(manifest), MediaType.MANIFEST), [held, *layers]


def _named(document: Literal, kind: str) -> Descriptor:
    plain = document.descriptor
    return Descriptor(kind, plain.digest, plain.size, {"org.opencontainers.image.ref.name": "1"})


def _write(folder: Path, blobs: Sequence[Literal], named: Descriptor) -> None:
    for blob in blobs:
        path = folder / "blobs" / "sha256" / blob.descriptor.digest.hex
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(blob.data)
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named.json()]}))
