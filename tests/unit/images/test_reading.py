"""Which image of an index is read for a platform, and documents whose types are not what was announced. `aNN` is a checklist's row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from modelcrate.images.artifact import Artifact
from modelcrate.images.manifests import parse_document, select
from modelcrate.images.reading import Found
from modelcrate_layers.content import Blob, Descriptor, Digest, Literal, MediaType, Platform, canonical_json
from modelcrate_layers.errors import IntegrityError, SourceError

AMD, ARM = {"os": "linux", "architecture": "amd64"}, {"os": "linux", "architecture": "arm64"}
V7, V8 = {"os": "linux", "architecture": "arm", "variant": "v7"}, ARM | {"variant": "v8"}
UNKNOWN = {"os": "unknown", "architecture": "unknown"}


@dataclass(frozen=True)
class Documents:
    """A collection of what a test puts into it."""

    found: Mapping[Digest, bytes]
    where = "here"

    def read(self, descriptor: Descriptor) -> bytes:
        return self.found[descriptor.digest]

    def blob(self, descriptor: Descriptor) -> Blob:
        return Literal(self.found[descriptor.digest], descriptor.media_type)

    def beside(self, digest: Digest, wanted: object = None) -> list[Artifact]:
        return []


def entry(n: int, platform: Mapping[str, str] | None, kind: str = MediaType.MANIFEST) -> dict[str, Any]:
    return Descriptor(kind, Digest.of(bytes([n])), n, {}, platform).json()


def index(*entries: Mapping[str, Any], **found: bytes) -> tuple[Documents, Descriptor]:
    data = canonical_json({"schemaVersion": 2, "mediaType": MediaType.INDEX, "manifests": list(entries)})
    return Documents({Digest.of(each): each for each in (data, *found.values())}), Descriptor.of(data, MediaType.INDEX)


@pytest.mark.parametrize(
    ("entries", "platform", "chosen"),
    [
        ([entry(1, ARM), entry(2, AMD), entry(3, AMD)], "linux/amd64", 2),
        ([entry(1, V8), entry(2, AMD)], "linux/arm64", 1),
        ([entry(1, V8)], "linux/arm64/v8", 1),
        ([entry(1, ARM)], "linux/arm64/v8", 1),
        ([entry(1, V7), entry(2, V7 | {"variant": "v6"})], "linux/arm/v6", 2),
        ([entry(1, UNKNOWN), entry(2, AMD)], "linux/amd64", 2),
        ([entry(1, AMD | {"variant": "v3"}), entry(2, AMD)], "linux/amd64", 2),
        ([entry(1, AMD | {"variant": "v3"}), entry(2, AMD | {"variant": "v2"})], "linux/amd64", 2),
        ([entry(1, AMD | {"variant": "v1"}), entry(2, AMD)], "linux/amd64", 1),
        ([entry(1, {"os": "linux", "architecture": "x86_64"})], "linux/amd64", 1),
    ],
)
def test_a65_the_entry_for_a_platform(entries: list[dict[str, Any]], platform: str, chosen: int) -> None:
    assert select(*index(*entries), Platform.parse(platform)).size == chosen


def test_a65_no_entry_is_an_error_that_names_what_there_is() -> None:
    with pytest.raises(SourceError, match="no image for linux/amd64") as caught:
        select(*index(entry(1, V7), entry(2, UNKNOWN)), Platform.parse("linux/amd64"))
    assert "linux/arm/v7" in caught.value.why
    assert "--platform" not in caught.value.hint, "a base has no such option"


def image(architecture: str) -> tuple[dict[str, Any], bytes, bytes]:
    """An entry of an index that names no platform, and its manifest and config."""
    config = canonical_json({"architecture": architecture, "os": "linux", "rootfs": {"diff_ids": []}})
    manifest = canonical_json(
        {"schemaVersion": 2, "config": Descriptor.of(config, MediaType.CONFIG).json(), "layers": []}
    )
    return Descriptor.of(manifest, MediaType.MANIFEST).json(), manifest, config


def test_an_entry_without_a_platform_counts_by_its_config() -> None:
    one, manifest, config = image("x86_64")
    other, manifest2, config2 = image("arm64")
    documents, root = index(other, one, a=manifest, b=config, c=manifest2, d=config2)
    for platform in ("amd64", "arm64"):
        found = Found(documents, root).image(Platform("linux", platform))
        assert found.platform == Platform("linux", platform)
    with pytest.raises(SourceError) as caught:
        select(documents, root, Platform("linux", "s390x"))
    assert "linux/arm64, linux/x86_64" in caught.value.why


def test_an_entry_with_the_platform_goes_before_one_without() -> None:
    other, manifest, config = image("amd64")
    assert select(*index(other, entry(2, AMD), a=manifest, b=config), Platform("linux", "amd64")).size == 2


def test_a_copy_is_sent_under_the_type_that_stands_inside() -> None:
    _, _, config = image("amd64")
    named = Descriptor.of(config, MediaType.CONFIG).json()
    data = canonical_json({"schemaVersion": 2, "mediaType": MediaType.MANIFEST, "config": named, "layers": []})
    documents = Documents({Digest.of(each): each for each in (data, config)})
    announced = Descriptor.of(data, MediaType.DOCKER_MANIFEST)
    copy = Found(documents, announced).copy()
    assert copy.descriptor.media_type == copy.graph().root.media_type == MediaType.MANIFEST


@pytest.mark.parametrize(
    ("document", "announced"),
    [
        ({"schemaVersion": 2, "mediaType": MediaType.INDEX, "manifests": []}, MediaType.MANIFEST),
        ({"schemaVersion": 2, "mediaType": MediaType.MANIFEST, "layers": []}, MediaType.INDEX),
        ({"schemaVersion": 2, "mediaType": 5, "layers": []}, MediaType.MANIFEST),
        ({"schemaVersion": 2, "mediaType": "text/html", "layers": []}, MediaType.MANIFEST),
        ({"schemaVersion": 2, "manifests": [], "layers": []}, MediaType.INDEX),
    ],
)
def test_a_document_of_another_sort_is_refused(document: Mapping[str, Any], announced: str) -> None:
    data = canonical_json(document)
    with pytest.raises(IntegrityError):
        parse_document(data, Descriptor.of(data, announced), "here")


def test_schema_1_is_named() -> None:
    data = canonical_json({"schemaVersion": 1, "name": "x", "fsLayers": []})
    with pytest.raises(IntegrityError, match="old schema 1") as caught:
        parse_document(data, Descriptor.of(data, MediaType.DOCKER_MANIFEST), "here")
    assert "skopeo copy" in caught.value.hint


def test_an_image_alone_that_is_for_another_platform_is_not_taken() -> None:
    config = canonical_json({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}})
    described = Descriptor.of(config, MediaType.CONFIG)
    manifest = canonical_json(
        {"schemaVersion": 2, "mediaType": MediaType.MANIFEST, "config": described.json(), "layers": []}
    )
    documents = Documents({Digest.of(each): each for each in (config, manifest)})
    found = Found(documents, Descriptor.of(manifest, MediaType.MANIFEST))
    with pytest.raises(SourceError) as caught:
        found.image(Platform("linux", "arm64"))
    assert str(caught.value).splitlines()[0] == "here: has no image for linux/arm64"
    assert "linux/amd64" in caught.value.why


def test_an_image_alone_whose_config_names_no_platform_is_taken_for_what_is_asked() -> None:
    config = canonical_json({"rootfs": {"type": "layers", "diff_ids": []}})
    manifest = canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": MediaType.MANIFEST,
            "config": Descriptor.of(config, MediaType.CONFIG).json(),
            "layers": [],
        }
    )
    documents = Documents({Digest.of(each): each for each in (config, manifest)})
    found = Found(documents, Descriptor.of(manifest, MediaType.MANIFEST))
    assert found.image(Platform("linux", "amd64")).layers == ()


def held(config: object, kind: str = MediaType.CONFIG, layer: str = MediaType.LAYER) -> tuple[Documents, Descriptor]:
    """A manifest over one layer, with this config."""
    data, blob = canonical_json(config), b"layer"
    document = {
        "schemaVersion": 2,
        "config": Descriptor.of(data, kind).json(),
        "layers": [Descriptor.of(blob, layer).json()],
    }
    manifest = canonical_json(document)
    found = {Digest.of(each): each for each in (data, blob, manifest)}
    return Documents(found), Descriptor.of(manifest, MediaType.MANIFEST)


GOOD = {"architecture": "amd64", "os": "linux", "rootfs": {"diff_ids": ["sha256:" + "0" * 64]}}


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (GOOD | {"config": {"StopSignal": 15}}, "members of the wrong type"),
        (GOOD | {"rootfs": {"diff_ids": []}}, "not as many as the manifest's layers"),
        ([], "not a JSON object"),
    ],
)
def test_a_copy_of_an_image_is_one_that_can_be_run(config: object, said: str) -> None:
    assert len(Found(*held(GOOD)).copy().images) == 1
    with pytest.raises(IntegrityError, match=said):
        Found(*held(config)).copy()


def test_what_does_not_say_that_it_is_an_image_is_copied_as_it_is() -> None:
    for kind, layer in (
        ("application/vnd.cncf.helm.config.v1+json", MediaType.LAYER),
        (MediaType.CONFIG, "text/x-signature"),
    ):
        copied = Found(*held({"name": "x"}, kind, layer)).copy()
        assert (copied.images, len(copied.graph().blobs)) == ((), 2)
