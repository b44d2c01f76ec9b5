"""Config, manifest and index, as bytes. From here on these bytes are the identity. Pure.

Section names are those of the OCI image specification 1.1 (config.md, manifest.md, image-index.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime
from typing import Any, Literal

from modelcrate.images.artifact import Artifact
from modelcrate_layers.content import (
    Blob,
    Descriptor,
    Digest,
    MediaType,
    Platform,
    canonical_json,
    parse_object,
)
from modelcrate_layers.content import Literal as LiteralBlob
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.tar.recipe import Layer

Origin = Literal["built", "known", "reused"]
"""How a layer came about: made in this build; known from an earlier one; taken over from the base or another image."""

EPOCH = datetime(1980, 1, 1, 0, 0, 1, tzinfo=UTC)
"""The creation time of an image for which none was asked: no clock, and no zero, which upsets old loaders."""

ANNOTATION = "io.modelcrate."
"""What our own annotations begin with."""

INPUTS = 4096
"""Characters of the inputs of a layer that travel with it: manifests have to stay small."""

_FORGOTTEN = frozenset(
    {"container", "container_config", "docker_version", "parent", "id", "created", "rootfs", "history"}
)
"""Members of a base's config that say how the base itself was made, and would be untrue of what we build on it."""

_DOCKER_TYPES = {
    MediaType.DOCKER_LAYER: MediaType.LAYER,
    MediaType.DOCKER_LAYER_GZIP: MediaType.LAYER_GZIP,
    MediaType.DOCKER_CONFIG: MediaType.CONFIG,
}
"""Docker's layer types and OCI's are the same bytes; a manifest of ours speaks OCI."""


@dataclass(frozen=True, slots=True)
class ImageLayer:
    """A layer in its place in an image: the facts, where its bytes are to be had, and why it is there."""

    role: str
    name: str
    layer: Layer
    blob: Blob = field(repr=False, compare=False)
    origin: Origin = field(default="built", compare=False)
    why: str = field(default="", compare=False)
    key: Digest | None = None

    @property
    def foreign(self) -> bool:
        """Whether it is somebody else's: a layer of a base that was taken as it is."""
        return self.role == "base" and self.key is None

    @property
    def descriptor(self) -> Descriptor:
        """How the manifest names it: with our annotations, where the layer is ours."""
        plain = self.layer.descriptor
        if self.foreign:
            return Descriptor(
                _DOCKER_TYPES.get(plain.media_type, plain.media_type),
                plain.digest,
                plain.size,
                plain.annotations,
                rest=plain.rest,
            )
        notes = {"layer.role": self.role, "layer.name": self.name, "layer.codec": str(self.layer.codec)}
        notes["layer.tar-size"] = str(self.layer.tar_size)
        if said := layer_annotations(self.layer.inputs):
            notes["layer.inputs"] = said
        if self.key is not None:
            notes["layer.key"] = str(self.key)
        return Descriptor(
            plain.media_type, plain.digest, plain.size, {ANNOTATION + key: notes[key] for key in sorted(notes)}
        )


def layer_annotations(inputs: Sequence[str]) -> str:
    """The inputs of a layer as an annotation: JSON, cut where it would be too long, with the number of those left out."""
    kept, size = [], 0
    for each in inputs:
        size += len(each) + 3
        if size > INPUTS:
            break
        kept.append(each)
    left = [f"... and {len(inputs) - len(kept)} more"] if len(kept) < len(inputs) else []
    return canonical_json([*kept, *left]).decode() if inputs else ""


@dataclass(frozen=True, slots=True)
class Graph:
    """A manifest or index with all that it names: what an output delivers.

    `documents` are manifests and indexes, children before parents, the root last; `blobs` are configs and layers, each once.
    `attached` is what is said about them, and travels along.
    """

    root: LiteralBlob
    documents: tuple[LiteralBlob, ...]
    blobs: tuple[Blob, ...]
    attached: tuple[Artifact, ...] = ()


@dataclass(frozen=True, slots=True)
class Image:
    """Config and manifest over layers, for one platform."""

    platform: Platform
    config: LiteralBlob = field(repr=False)
    manifest: LiteralBlob = field(repr=False)
    layers: tuple[ImageLayer, ...]
    attached: tuple[Artifact, ...] = field(default=(), repr=False, compare=False)
    """What is said about it: no part of it, but it goes where the image goes."""

    @property
    def descriptor(self) -> Descriptor:
        """The manifest's, with the platform."""
        plain = self.manifest.descriptor
        return Descriptor(plain.media_type, plain.digest, plain.size, platform=self.platform.json())

    @property
    def digest(self) -> Digest:
        return self.manifest.descriptor.digest

    @property
    def id(self) -> Digest:
        """What Docker calls the image id: the digest of the config. It does not depend on the codecs."""
        return self.config.descriptor.digest

    @property
    def settings(self) -> dict[str, Any]:
        """The config, parsed."""
        return parse_object(self.config.data)

    @property
    def images(self) -> tuple[Image, ...]:
        return (self,)

    def graph(self) -> Graph:
        blobs: dict[Digest, Blob] = {self.config.descriptor.digest: self.config}
        for layer in self.layers:
            blobs.setdefault(layer.descriptor.digest, layer.blob)
        return Graph(self.manifest, (self.manifest,), tuple(blobs.values()), self.attached)


@dataclass(frozen=True, slots=True)
class Index:
    """Images by platform."""

    index: LiteralBlob = field(repr=False)
    images: tuple[Image, ...]
    attached: tuple[Artifact, ...] = field(default=(), repr=False, compare=False)

    @property
    def descriptor(self) -> Descriptor:
        return self.index.descriptor

    @property
    def digest(self) -> Digest:
        return self.index.descriptor.digest

    def graph(self) -> Graph:
        blobs: dict[Digest, Blob] = {}
        for image in self.images:
            for blob in image.graph().blobs:
                blobs.setdefault(blob.descriptor.digest, blob)
        attached = (*self.attached, *(each for image in self.images for each in image.attached))
        manifests = (image.manifest for image in self.images)
        return Graph(self.index, (*manifests, self.index), tuple(blobs.values()), attached)


@dataclass(frozen=True, slots=True)
class Copy:
    """Something that exists, to be delivered byte for byte: an image, an index, or an artifact. `images` are those in it that can run."""

    descriptor: Descriptor
    images: tuple[Image, ...]
    contents: Graph = field(repr=False)

    @property
    def digest(self) -> Digest:
        return self.descriptor.digest

    def graph(self) -> Graph:
        return self.contents


Deliverable = Image | Index | Copy
"""What an output takes."""


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What the container does when it starts; laid over what the base says (config.md, "config")."""

    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, hash=False)
    ports: tuple[int, ...] = ()
    user: str = ""
    folder: str = ""
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    stop_signal: str = ""


def assemble(
    platform: Platform,
    base: Mapping[str, Any],
    layers: Sequence[ImageLayer],
    run: RunSpec,
    created: datetime = EPOCH,
    annotations: Mapping[str, str] | None = None,
) -> Image:
    """The image of these layers, lowest first. `base` is the config of what lies below, whose unknown members are kept."""
    config = LiteralBlob(canonical_json(_config(platform, base, layers, run, created)), MediaType.CONFIG)
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": MediaType.MANIFEST,
        "config": config.descriptor.json(),
        "layers": [layer.descriptor.json() for layer in layers],
    }
    if annotations:
        manifest["annotations"] = dict(annotations)
    return Image(platform, config, LiteralBlob(canonical_json(manifest), MediaType.MANIFEST), tuple(layers))


def combine(images: Iterable[Image]) -> Index:
    """The index of these images, in their order: the first one that fits is taken (image-index.md)."""
    images = tuple(images)
    index = {
        "schemaVersion": 2,
        "mediaType": MediaType.INDEX,
        "manifests": [image.descriptor.json() for image in images],
    }
    return Index(LiteralBlob(canonical_json(index), MediaType.INDEX), images)


def replaced(image: Image, layers: Sequence[ImageLayer]) -> Image:
    """The same image over the same tars, stored in another way: config and id stay, the manifest is another."""
    manifest = parse_object(image.manifest.data)
    manifest |= {
        "mediaType": MediaType.MANIFEST,
        "config": {**image.config.descriptor.json(), "mediaType": MediaType.CONFIG},
        "layers": [layer.descriptor.json() for layer in layers],
    }
    return Image(
        image.platform,
        LiteralBlob(image.config.data, MediaType.CONFIG),
        LiteralBlob(canonical_json(manifest), MediaType.MANIFEST),
        tuple(layers),
    )


def timestamp(moment: datetime) -> str:
    """RFC 3339, UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def environment(config: Mapping[str, Any]) -> dict[str, str]:
    """The variables that an image config sets."""
    lines = (config.get("config") or {}).get("Env") or []
    return dict(line.partition("=")[::2] for line in lines if isinstance(line, str))


def _config(
    platform: Platform, base: Mapping[str, Any], layers: Sequence[ImageLayer], run: RunSpec, created: datetime
) -> dict[str, Any]:
    when = timestamp(created)
    below = sum(layer.foreign for layer in layers)

    return {
        **{key: value for key, value in base.items() if key not in _FORGOTTEN},
        **platform.json(),
        "created": when,
        "config": _running(base.get("config") or {}, run),
        "rootfs": {"type": "layers", "diff_ids": [str(layer.layer.diff_id) for layer in layers]},
        "history": [
            *_history(base, below),
            *({"created": when, "created_by": f"modelcrate: {layer.role} {layer.name}"} for layer in layers[below:]),
        ],
    }


def _running(base: Mapping[str, Any], run: RunSpec) -> dict[str, Any]:
    """The base's settings with ours laid over them. A new entry point clears the base's command, as Docker does."""
    out = dict(base)
    env = dict(line.partition("=")[::2] for line in base.get("Env") or []) | dict(run.env)
    if env:
        out["Env"] = [f"{name}={value}" for name, value in env.items()]
    if run.command:
        out["Entrypoint"] = list(run.command)
        out.pop("Cmd", None)
    if run.ports:
        out["ExposedPorts"] = {**(base.get("ExposedPorts") or {}), **{f"{port}/tcp": {} for port in run.ports}}
    if run.labels:
        out["Labels"] = {**(base.get("Labels") or {}), **run.labels}
    settings = (("User", run.user), ("WorkingDir", run.folder), ("StopSignal", run.stop_signal))
    return {**out, **{name: value for name, value in settings if value}}


def _history(base: Mapping[str, Any], count: int) -> list[Any]:
    """The base's history, if it tells of as many layers as there are; else a line a layer, for tools count them."""
    history = base.get("history")
    if (
        isinstance(history, list)
        and sum(not each.get("empty_layer") for each in history if isinstance(each, dict)) == count
    ):
        return history
    return [{"created_by": "base"}] * count
