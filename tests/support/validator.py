"""The oracle: whether an image is right, by its bytes alone. It trusts no code of ours: hashlib, json, gzip, zstandard and tarfile judge.

`assert_valid_image` belongs at the end of every test that makes an image; `assert_valid_layout` and `assert_valid_archive` at
the end of those that write one. Section numbers are those of the OCI image specification 1.1.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import zstandard
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

from modelcrate.images.manifests import Collection
from modelcrate.images.reading import Found
from modelcrate.transports import docker_archive, oci_archive
from modelcrate.transports.oci import LayoutCollection
from modelcrate_layers.content import Descriptor
from modelcrate_layers.store import Layout
from support.chunked import DIGEST, assert_valid_chunked
from support.estargz import assert_valid_estargz
from support.soci import SOCI, assert_bound, assert_valid_soci_index

REPOSITORY = Path(__file__).resolve().parents[2]

_OCI, _DOCKER = "application/vnd.oci.image.", "application/vnd.docker."
_INDEXES = {_OCI + "index.v1+json", _DOCKER + "distribution.manifest.list.v2+json"}
_MANIFESTS = {_OCI + "manifest.v1+json", _DOCKER + "distribution.manifest.v2+json"}
_CONFIGS = {_OCI + "config.v1+json", _DOCKER + "container.image.v1+json"}
_CODECS = {
    _OCI + "layer.v1.tar": "none",
    _OCI + "layer.v1.tar+gzip": "gzip",
    _OCI + "layer.v1.tar+zstd": "zstd",
    _DOCKER + "image.rootfs.diff.tar": "none",
    _DOCKER + "image.rootfs.diff.tar.gzip": "gzip",
}
_SCHEMAS = {
    "index": "image-index-schema.json",
    "manifest": "image-manifest-schema.json",
    "config": "config-schema.json",
    "layout": "image-layout-schema.json",
}
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_OURS = "io.modelcrate.layer."


@dataclass(frozen=True)
class Checked:
    """What was looked at, so that a test can say that it was something."""

    images: int = 0
    layers: int = 0
    members: int = 0


_Known = dict[tuple[object, ...], dict[str, bytes]]
"""The members' kinds of layers that were looked at already, by all that is said of a layer: their bytes are read once."""


@dataclass
class _Below:
    """What the layers so far made of the paths; grows from layer to layer."""

    kinds: dict[str, bytes]
    known: _Known


DEBIAN_SCHEMAS = Path("/usr/share/gocode/src/github.com/opencontainers/image-spec/schema")
"""Where the package golang-github-opencontainers-image-spec-dev has them."""


def schemas() -> Path | None:
    """The folder of the specification's JSON Schemas: beside the repository or further up, or Debian's."""
    places = (above / "shared" / "schemas" / "image-spec" for above in REPOSITORY.parents)
    return next((place for place in (*places, DEBIAN_SCHEMAS) if place.is_dir()), None)


def assert_valid_found(found: Found) -> Checked:
    """The same as `assert_valid_image`, of what an input has found."""
    return assert_valid_image(found.collection, found.descriptor)


def assert_valid_image(collection: Collection, descriptor: Descriptor, known: _Known | None = None) -> Checked:
    """An image, or an index with all its images: every digest, size and diff id from the bytes, documents, tar rules.

    `known` are layers of the same collection that were looked at already.
    """
    known = {} if known is None else known
    data = collection.read(descriptor)
    document = _document(data, descriptor)
    if descriptor.media_type in _INDEXES:
        assert_schema("index", document)
        assert "layers" not in document
        assert "config" not in document
        parts = [assert_valid_image(collection, _descriptor(each), known) for each in document["manifests"]]
        assert parts, "an index that names nothing"
        assert_bound(collection, document)
        return Checked(
            sum(part.images for part in parts), sum(part.layers for part in parts), sum(part.members for part in parts)
        )
    assert descriptor.media_type in _MANIFESTS, f"no media type of a manifest: {descriptor.media_type}"
    if descriptor.media_type.startswith(_OCI):
        assert_schema("manifest", document)
    assert "manifests" not in document
    if document["config"]["mediaType"] == SOCI:
        assert_valid_soci_index(collection, document)
        return Checked()
    if document.get("artifactType") == "application/vnd.cncf.model.manifest.v1+json":
        from support.artifact_validator import assert_valid_modelpack  # it judges with what is here

        return assert_valid_modelpack(Found(collection, descriptor))
    config = _config(collection, document, descriptor)
    below, members = _Below({}, known), 0
    for each, diff_id in zip(document["layers"], config["rootfs"]["diff_ids"], strict=True):
        members += _layer(collection, _descriptor(each), diff_id, below)
    return Checked(1, len(document["layers"]), members)


def assert_valid_layout(root: Path) -> Checked:
    """An OCI layout (image-layout.md): every blob is what its name says, nothing half-made lies about, all that is named is right."""
    assert_schema("layout", json.loads((root / "oci-layout").read_bytes()))
    index = json.loads((root / "index.json").read_bytes())
    assert index["schemaVersion"] == 2
    assert_schema("index", index)
    assert {each.name for each in root.iterdir()} <= {"oci-layout", "index.json", "blobs", ".lock"}
    for path in (root / "blobs").rglob("*"):
        if path.is_file():
            with path.open("rb") as handle:
                assert hashlib.file_digest(handle, path.parent.name).hexdigest() == path.name, f"{path} is damaged"
    collection = LayoutCollection(Layout.open(root))
    tags = [each.get("annotations", {}).get("org.opencontainers.image.ref.name") for each in index["manifests"]]
    named = [tag for tag in tags if tag is not None]
    assert len(named) == len(set(named)), f"a tag stands twice: {named}"
    known: _Known = {}
    parts = [assert_valid_image(collection, _descriptor(each), known) for each in index["manifests"]]
    return Checked(
        sum(part.images for part in parts), sum(part.layers for part in parts), sum(part.members for part in parts)
    )


def assert_valid_archive(path: Path) -> Checked:
    """An OCI archive, a docker archive, or both in one."""
    with tarfile.open(path, "r:") as archive:
        names = archive.getnames()
        assert len(names) == len(set(names)), "a member stands twice"
        for member in archive:
            _safe(member.name)
            assert member.isfile() or member.isdir(), f"{member.name} is neither file nor folder"
            if member.isfile() and member.name.startswith("blobs/"):
                body = archive.extractfile(member)
                assert body is not None
                algorithm, digits = member.name.split("/")[1:]
                assert hashlib.file_digest(body, algorithm).hexdigest() == digits, f"{member.name} is damaged"
        if "manifest.json" in names:
            _docker_save(archive, names)
    checked = Checked()
    if "manifest.json" in names:
        checked = assert_valid_found(docker_archive.find(path))
    if "index.json" in names:
        checked = assert_valid_found(oci_archive.find(path))
    assert checked.images, "an archive without an image"
    return checked


def assert_schema(kind: str, document: object) -> None:
    """The document fits the specification's schema; passes where the schemas are not at hand."""
    if (validator := _validator(kind)) is not None:
        faults = [f"{fault.json_path}: {fault.message}" for fault in validator.iter_errors(document)]
        assert not faults, "\n".join(faults)


@cache
def _validator(kind: str) -> Any:
    folder = schemas()
    if folder is None:
        return None
    known: Registry[Any] = Registry()
    for path in sorted(folder.glob("*.json")):
        resource = Resource.from_contents(json.loads(path.read_bytes()), default_specification=DRAFT4)
        known = known.with_resource(f"https://opencontainers.org/schema/{path.name}", resource)
        known = known.with_resource(path.name, resource)
        known = known.with_resource(f"https://opencontainers.org/schema/image/{path.name}", resource)
        known = known.with_resource(f"https://opencontainers.org/schema/image/descriptor/{path.name}", resource)
    return jsonschema.Draft4Validator(json.loads((folder / _SCHEMAS[kind]).read_bytes()), registry=known)


def _descriptor(value: Mapping[str, Any]) -> Descriptor:
    assert _DIGEST.fullmatch(value["digest"]), value["digest"]
    assert isinstance(value["size"], int)
    assert value["size"] >= 0
    return Descriptor.parse(value)


def _document(data: bytes, descriptor: Descriptor) -> dict[str, Any]:
    """A document whose bytes are what its descriptor says, and that says of itself what the descriptor does."""
    assert len(data) == descriptor.size, f"{len(data)} bytes, {descriptor.size} promised"
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == str(descriptor.digest)
    document = json.loads(data)
    assert isinstance(document, dict)
    assert document.get("schemaVersion", 2) == 2
    assert document.get("mediaType", descriptor.media_type) == descriptor.media_type
    return document


def _config(collection: Collection, manifest: Mapping[str, Any], root: Descriptor) -> dict[str, Any]:
    """The config (config.md): as many diff ids, and as many telling lines of history, as there are layers."""
    descriptor = _descriptor(manifest["config"])
    assert descriptor.media_type in _CONFIGS, f"no media type of a config: {descriptor.media_type}"
    config = _document(collection.read(descriptor), descriptor)
    assert_schema("config", config)
    assert config["rootfs"]["type"] == "layers"
    diff_ids = config["rootfs"]["diff_ids"]
    assert len(diff_ids) == len(manifest["layers"]), "not as many diff ids as layers"
    assert all(_DIGEST.fullmatch(each) for each in diff_ids), diff_ids
    if "history" in config:
        told = [each for each in config["history"] if not each.get("empty_layer")]
        assert len(told) == len(diff_ids), f"{len(told)} lines of history for {len(diff_ids)} layers"
    for key in ("os", "architecture"):
        assert config[key]
        assert (root.platform or config).get(key) == config[key], f"descriptor and config differ in {key}"
    env = [line.partition("=")[0] for line in config.get("config", {}).get("Env") or []]
    assert len(env) == len(set(env)), f"a variable is set twice: {env}"
    return config


def _layer(collection: Collection, descriptor: Descriptor, diff_id: str, below: _Below) -> int:
    """One pass over the stored bytes: digest and size, diff id, and the members of the tar. Returns how many there are."""
    key = (
        descriptor.digest,
        descriptor.media_type,
        descriptor.size,
        diff_id,
        tuple(sorted(descriptor.annotations.items())),
    )
    if (kinds := below.known.get(key)) is not None:
        links = {path for path, kind in below.kinds.items() if kind == tarfile.SYMTYPE}
        assert not [path for path in links if kinds.get(path) == tarfile.DIRTYPE], "a folder would replace a link"
        below.kinds |= kinds
        return len(kinds)
    name = _CODECS.get(descriptor.media_type)
    assert name is not None, f"no media type of a layer: {descriptor.media_type}"
    notes = {key.removeprefix(_OURS): text for key, text in descriptor.annotations.items() if key.startswith(_OURS)}
    stored = _Hashing(collection.blob(descriptor).chunks(), descriptor.digest.algorithm)
    plain = _Hashing(_decoded(name, stored), diff_id.partition(":")[0])
    with tarfile.open(fileobj=plain, mode="r|", bufsize=1 << 20) as archive:
        below.known[key] = _members(archive, below, ours="role" in notes)
    plain.drain()
    stored.drain()
    assert stored.digest == str(descriptor.digest), f"the layer is {stored.digest}, not {descriptor.digest}"
    assert stored.size == descriptor.size, f"the layer has {stored.size} bytes, not {descriptor.size}"
    assert plain.digest == diff_id, f"the diff id is {plain.digest}, not {diff_id}"
    if "tar-size" in notes:
        assert plain.size == int(notes["tar-size"])
    if "containerd.io/snapshot/stargz/toc.digest" in descriptor.annotations:
        assert_valid_estargz(b"".join(collection.blob(descriptor).chunks()), descriptor.annotations)
    assert (DIGEST in descriptor.annotations) == ("chunked" in notes.get("codec", ""))
    if DIGEST in descriptor.annotations:
        assert_valid_chunked(b"".join(collection.blob(descriptor).chunks()), descriptor.annotations)
    if "codec" in notes:
        assert re.fullmatch(rf"{name}(-\d+@.+)?", notes["codec"]), f"{notes['codec']} in a {descriptor.media_type}"
    return len(below.known[key])


def _members(archive: tarfile.TarFile, below: _Below, ours: bool) -> dict[str, bytes]:
    """The members' kinds by their paths. The rules of layer.md, and for our own layers those of the house."""
    kinds: dict[str, bytes] = {}
    last = b""
    for member in archive:
        archive.members.clear()  # or tarfile remembers them all
        name = member.name.removeprefix("./").rstrip("/")
        if name in ("", "."):
            continue
        _safe(name)
        if ours:
            assert name not in kinds, f"{name} stands twice in one layer"
            _house_rules(member, name, kinds, below)
            raw = name.encode("utf-8", "surrogateescape")
            assert last < raw, f"{name} is not in the order of path bytes"
            last = raw
        kinds[name] = member.type
    below.kinds |= kinds
    return kinds


def _house_rules(member: tarfile.TarInfo, name: str, kinds: Mapping[str, bytes], below: _Below) -> None:
    parent = name.rpartition("/")[0]
    if parent in kinds:
        assert kinds[parent] == tarfile.DIRTYPE, f"{name} is below something that is no folder"
    while parent:  # what lies above a root of a layer is left to the layers below
        grand = parent.rpartition("/")[0]
        assert parent in kinds or grand not in kinds, f"{parent} is missing above {name}"
        parent = grand
    if member.isdir():
        assert below.kinds.get(name) != tarfile.SYMTYPE, f"the folder {name} would replace a link of a lower layer"
    if member.islnk():
        assert kinds.get(member.linkname) == tarfile.REGTYPE, f"{name} is a hard link to no earlier file"
    assert member.type in (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE), (
        f"{name}: {member.type!r}"
    )
    assert not name.rpartition("/")[2].startswith(".wh."), f"{name} is a whiteout"
    assert member.mtime == 315532801, f"{name} has the time {member.mtime}"
    assert not member.uname, f"{name} has an owner's name"
    assert not member.gname, f"{name} has a group's name"
    assert not member.mode & 0o6000, f"{name} has a set-id bit"


def _safe(name: str) -> None:
    assert name, "a member without a name"
    assert not name.startswith("/"), f"an absolute name: {name}"
    assert ".." not in name.split("/"), f"a name that escapes: {name}"
    assert "\0" not in name, f"a NUL in {name!r}"


def _decoded(name: str, stored: _Hashing) -> Iterator[bytes]:
    reader: Any = stored
    if name == "gzip":
        reader = gzip.GzipFile(fileobj=stored, mode="rb")
    elif name == "zstd":
        reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(
            stored, read_across_frames=True, closefd=False
        )
    while chunk := reader.read(1 << 20):
        yield chunk


def _docker_save(archive: tarfile.TarFile, names: Iterable[str]) -> None:
    """manifest.json names a config and plain tars that are there, and `repositories` the same tags."""

    def read(name: str) -> bytes:
        body = archive.extractfile(name)
        assert body is not None
        return body.read()

    known = set(names)
    for item in json.loads(read("manifest.json")):
        config = json.loads(read(item["Config"]))
        assert set(item["Layers"]) <= known, "a layer that manifest.json names is missing"
        digests = [f"sha256:{hashlib.sha256(read(name)).hexdigest()}" for name in item["Layers"]]
        assert digests == config["rootfs"]["diff_ids"], "manifest.json's layers are not the plain tars of the config"


class _Hashing(io.RawIOBase):
    """A readable of chunks that hashes and counts what was read."""

    def __init__(self, chunks: Iterable[bytes], algorithm: str) -> None:
        self._chunks, self._held, self._hashed, self.size = iter(chunks), b"", hashlib.new(algorithm), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._held:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._held = chunk
        part, self._held = self._held[: len(buffer)], self._held[len(buffer) :]
        buffer[: len(part)] = part
        self._hashed.update(part)
        self.size += len(part)
        return len(part)

    def drain(self) -> None:
        while self.read(1 << 20):
            pass

    @property
    def digest(self) -> str:
        return f"{self._hashed.name}:{self._hashed.hexdigest()}"
