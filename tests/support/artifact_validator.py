"""The oracle for artifacts: whether a ModelPack artifact is right by its bytes, and what others' readers make of it.

It trusts no code of ours. The rules are those of the specification (github.com/modelpack/model-spec: docs/spec.md, docs/annotations.md,
schema/config-schema.json, of June 2026), and of two programs that read such artifacts, whose sources are named at their functions.
"""

from __future__ import annotations

import hashlib
import io
import json
import posixpath
import re
import tarfile
from pathlib import Path
from typing import Any

from modelcrate.images.manifests import Collection
from modelcrate.images.reading import Found
from modelcrate_layers.content import Descriptor
from support.validator import Checked, assert_schema

PACK = "application/vnd.cncf.model."
_TYPE = re.compile(
    r"application/vnd\.cncf\.model\.(weight|weight\.config|doc|code|dataset)\.v1\.(raw|tar|tar\+gzip|tar\+zstd)"
)
_CONFIG_KEYS = {
    "descriptor": {
        "createdAt",
        "authors",
        "family",
        "name",
        "docURL",
        "sourceURL",
        "datasetsURL",
        "version",
        "revision",
        "vendor",
        "licenses",
        "title",
        "description",
    },
    "config": {"architecture", "format", "paramSize", "precision", "quantization", "capabilities"},
    "modelfs": {"type", "diffIds"},
}
"""All members that the schema allows; it forbids others."""


def assert_valid_modelpack(found: Found) -> Checked:
    """Every digest and size from the bytes, and the specification's musts for manifest, config and layers."""
    collection, root = found.collection, found.descriptor
    data = collection.read(root)
    assert (len(data), f"sha256:{hashlib.sha256(data).hexdigest()}") == (root.size, str(root.digest))
    manifest = json.loads(data)
    assert_schema("manifest", manifest)
    assert manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert manifest["artifactType"] == PACK + "manifest.v1+json"
    assert manifest["config"]["mediaType"] == PACK + "config.v1+json"
    config = json.loads(_blob(collection, manifest["config"]))
    assert set(config) == set(_CONFIG_KEYS), "all three are required, and others forbidden"
    for key, allowed in _CONFIG_KEYS.items():
        assert set(config[key]) <= allowed, f"{key} has {set(config[key]) - allowed}"
    assert config["descriptor"]["name"]
    assert config["modelfs"]["type"] == "layers"
    assert len(config["modelfs"]["diffIds"]) == len(manifest["layers"]) > 0
    members = 0
    for layer, diff_id in zip(manifest["layers"], config["modelfs"]["diffIds"], strict=True):
        kind = _TYPE.fullmatch(layer["mediaType"])
        assert kind, f"no media type of a layer: {layer['mediaType']}"
        body = _blob(collection, layer)
        assert kind[2] in ("raw", "tar"), "weights are better stored plain (Guidance on Layers)"
        assert f"sha256:{hashlib.sha256(body).hexdigest()}" == diff_id
        notes = layer["annotations"]
        assert notes["org.cncf.model.filepath"]
        assert notes["org.cncf.model.file.mediatype.untested"] in ("true", "false")
        if kind[2] == "raw":
            metadata = json.loads(notes["org.cncf.model.file.metadata+json"])
            assert set(metadata) == {"name", "mode", "uid", "gid", "size", "mtime", "typeflag"}
            assert metadata["size"] == len(body)
            assert metadata["name"] == posixpath.basename(notes["org.cncf.model.filepath"])
        members += 1
    return Checked(0, len(manifest["layers"]), members)


def extract_as_modctl(found: Found, folder: Path) -> None:
    """What `modctl pull --extract-dir` writes (github.com/modelpack/modctl, August 2026: pkg/backend/extract.go, pkg/codec, pkg/archiver).

    It knows types that end with `.raw` and `.tar` alone; a raw layer's path is its annotation, and a tar's are those in it. In a tar it
    refuses paths with two dots anywhere, and passes over all but files and folders.
    """
    for layer in json.loads(found.collection.read(found.descriptor))["layers"]:
        body = _blob(found.collection, layer)
        media_type = layer["mediaType"]
        assert media_type.endswith((".raw", ".tar")), f"unsupported codec type: {media_type}"
        if media_type.endswith(".raw"):
            _write(folder / layer["annotations"]["org.cncf.model.filepath"], body)
            continue
        with tarfile.open(fileobj=io.BytesIO(body), mode="r:") as archive:
            for member in archive:
                path = posixpath.normpath(member.name)
                assert ".." not in path, f"tar file contains invalid path: {path}"
                assert not path.startswith("/"), f"tar file contains invalid path: {path}"
                if member.isdir():
                    (folder / path).mkdir(parents=True, exist_ok=True)
                elif member.isreg():
                    handle = archive.extractfile(member)
                    assert handle is not None
                    _write(folder / path, handle.read())


def resolve_as_llmman(found: Found, folder: Path) -> str:
    """What `llmman resolve` finds (github.com/llmmanorg/llmman, August 2026: src/modelpack.rs): a GGUF file, or a folder for vLLM.

    Of a model in safetensors it takes the raw layers of weights and of their configuration, and no other.
    """
    layers = json.loads(found.collection.read(found.descriptor))["layers"]
    paths = [layer["annotations"]["org.cncf.model.filepath"] for layer in layers]
    for layer, path in zip(layers, paths, strict=True):
        if path.lower().endswith(".gguf"):
            body = _blob(found.collection, layer)
            assert body.startswith(b"GGUF"), "a file that is no GGUF is read as a tar"
            _write(folder / posixpath.basename(path), body)
            return "gguf"
    assert any(path.lower().endswith(".safetensors") for path in paths), "no servable model layer found"
    for layer, path in zip(layers, paths, strict=True):
        if layer["mediaType"] in (PACK + "weight.v1.raw", PACK + "weight.config.v1.raw"):
            _write(folder / path, _blob(found.collection, layer))
    return "safetensors"


def _blob(collection: Collection, value: Any) -> bytes:
    descriptor = Descriptor.parse(value)
    body = b"".join(collection.blob(descriptor).chunks())
    assert (len(body), f"sha256:{hashlib.sha256(body).hexdigest()}") == (descriptor.size, str(descriptor.digest))
    return body


def _write(path: Path, body: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
