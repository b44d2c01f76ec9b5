"""Images with SOCI indexes: one index, in which each image and its SOCI index name each other, and nothing else of the image is new."""

from __future__ import annotations

import json
from typing import Any

from modelcrate.images.image import SOCI_POINTER, Image, ImageLayer, assemble, replaced
from modelcrate.images.image_config import RunSpec
from modelcrate.images.manifests import SOCI_INDEX
from modelcrate.images.soci import with_indexes
from modelcrate_layers.content import Literal, Platform
from modelcrate_layers.tar import codec
from modelcrate_layers.tar.recipe import Recipe, RecipeBlob, measure
from modelcrate_layers.tar.sources import Bytes
from modelcrate_layers.tar.tree import Tree, file


def layer(text: bytes) -> ImageLayer:
    recipe = Recipe(Tree.of([file(text, Bytes(text))]), codec.NONE)
    measured = measure(recipe)
    return ImageLayer("model", "a model", measured, RecipeBlob(recipe, measured))


def image(platform: str, *layers: ImageLayer, **notes: str) -> Image:
    return assemble(Platform.parse(platform), {}, layers, RunSpec(), annotations=notes)


def document(value: Literal) -> Any:
    return json.loads(value.data)


A, B, C = layer(b"a"), layer(b"b"), layer(b"c")
TABLES = {A.descriptor.digest: Literal(b"table of a", "application/octet-stream")}
TABLES[B.descriptor.digest] = Literal(b"table of b", "application/octet-stream")


def test_images_and_their_indexes_name_each_other() -> None:
    old = [image("linux/amd64", C, B, A, A, title="x"), image("linux/arm64/v8", A), image("linux/s390x", C, title="y")]
    made = with_indexes(old, TABLES)
    root = document(made.contents.root)
    assert made.descriptor.digest == made.contents.root.descriptor.digest
    documents = {str(each.descriptor.digest): document(each) for each in made.contents.documents}
    assert [each["platform"]["architecture"] for each in root["manifests"]] == [
        "amd64",
        "arm64",
        "s390x",
        "amd64",
        "arm64",
    ]
    images, indexes = root["manifests"][:3], root["manifests"][3:]
    assert [each.get("artifactType") for each in root["manifests"]] == [None] * 3 + [SOCI_INDEX] * 2
    for one, index, tabled in zip(images[:2], indexes, [[B, A], [A]], strict=True):
        assert documents[one["digest"]]["annotations"][SOCI_POINTER] == index["digest"]
        assert one["annotations"] == documents[one["digest"]]["annotations"]
        assert index["annotations"] == {"com.amazon.soci.image-manifest-digest": one["digest"]}
        layers = documents[index["digest"]]["layers"]
        assert [each["annotations"]["com.amazon.soci.image-layer-digest"] for each in layers] == [
            str(each.descriptor.digest) for each in tabled
        ]
    assert documents[images[2]["digest"]] == document(old[2].manifest)
    for before, after in zip(old, made.images, strict=True):
        assert (after.id, after.layers, after.platform) == (before.id, before.layers, before.platform)
        assert document(after.manifest)["layers"] == document(before.manifest)["layers"]
    names = {str(each.descriptor.digest) for each in made.contents.blobs}
    assert names >= {str(each.descriptor.digest) for each in TABLES.values()}
    assert {each["config"]["digest"] for digest, each in documents.items() if "config" in each} <= names


def test_an_index_of_before_is_forgotten() -> None:
    old = image("linux/amd64", A, title="x")
    once = with_indexes([old], TABLES)
    again = with_indexes(once.images, TABLES)
    assert again.contents.root.data == once.contents.root.data
    (left,) = with_indexes(once.images, {}).images
    assert document(left.manifest) == document(old.manifest)
    assert document(replaced(once.images[0], [B]).manifest)["annotations"] == {"title": "x"}


def test_an_image_of_docker_becomes_one_of_oci() -> None:
    plain = image("linux/amd64", A)
    manifest = document(plain.manifest)
    manifest["mediaType"] = "application/vnd.docker.distribution.manifest.v2+json"
    manifest["config"]["mediaType"] = "application/vnd.docker.container.image.v1+json"
    docker = Image(
        plain.platform, plain.config, Literal(json.dumps(manifest).encode(), manifest["mediaType"]), plain.layers
    )
    assert with_indexes([docker], TABLES).contents.root.data == with_indexes([plain], TABLES).contents.root.data
