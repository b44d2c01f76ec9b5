"""Bases to build on, as folders and archives: right ones, and whatever a test makes of them."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelcrate_layers.content import Literal, MediaType, canonical_json
from support.rootfs import layer, member

SMALL = (
    member("etc", kind=tarfile.DIRTYPE),
    member("etc/hello", b"hello"),
    member("usr/bin/python3.11", b"\x7fELF", mode=0o755),
)
"""A base whose Python is a file and no more: enough to build on."""


def documents(
    layers: Sequence[Literal],
    *,
    diff_ids: Sequence[str] | None = None,
    changes: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> tuple[Literal, Literal]:
    """Config and manifest over these layers; `diff_ids` may lie, `changes` replace members of the manifest, `settings` is `config`."""
    ids = diff_ids or [str(each.descriptor.digest) for each in layers]
    config = Literal(
        canonical_json(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": dict(settings or {}),
                "rootfs": {"type": "layers", "diff_ids": list(ids)},
            }
        ),
        MediaType.CONFIG,
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": MediaType.MANIFEST,
        "config": config.descriptor.json(),
        "layers": [each.descriptor.json() for each in layers],
        **(changes or {}),
    }
    return config, Literal(canonical_json(manifest), MediaType.MANIFEST)


def files(layers: Sequence[Literal], **lies: Any) -> dict[str, bytes]:
    """An OCI layout as paths and bytes."""
    config, manifest = documents(layers, **lies)
    index = {"schemaVersion": 2, "mediaType": MediaType.INDEX, "manifests": [manifest.descriptor.json()]}
    blobs = {f"blobs/sha256/{each.descriptor.digest.hex}": each.data for each in (config, manifest, *layers)}
    return {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(index).encode(), **blobs}


def written(folder: Path, content: Mapping[str, bytes]) -> Path:
    for name, data in content.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def tarred(path: Path, content: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> Path:
    """The same as one tar, with symbolic links by name and target."""
    with tarfile.open(path, "w") as archive:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return path


def docker_files(layers: Sequence[Literal], **lies: Any) -> dict[str, bytes]:
    """What `docker save` has written for long, as paths and bytes."""
    config, _ = documents(layers, **lies)
    names = [f"{hashlib.sha256(each.data).hexdigest()}/layer.tar" for each in layers]
    manifest = [{"Config": "config.json", "RepoTags": ["small:1"], "Layers": names}]
    content = {name: each.data for name, each in zip(names, layers, strict=True)}
    return {"manifest.json": json.dumps(manifest).encode(), "config.json": config.data, **content}


def small() -> Literal:
    return layer(*SMALL)
