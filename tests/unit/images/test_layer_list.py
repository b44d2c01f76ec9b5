"""Lists of layers: what is asked of them, how they grow, and what is none."""

from __future__ import annotations

from typing import Any

import pytest

from modelcrate.images import layer_list
from modelcrate.images.layer_list import PATHS, TAG, LayerList, ListedImage, place_of
from modelcrate_layers.content import Descriptor, Digest, Platform
from modelcrate_layers.errors import IntegrityError, UserError

AMD, ARM = Platform("linux", "amd64"), Platform("linux", "arm64")


def key(name: object) -> Digest:
    return Digest.of(str(name).encode())


def listed(name: str, *keys: object, platform: Platform = AMD) -> ListedImage:
    paths = {key(each): Descriptor.of(str(each).encode(), PATHS) for each in keys}
    return ListedImage(f"team/{name}", key(name), platform, paths)


def names(images: tuple[ListedImage, ...]) -> list[str]:
    return [each.repository.removeprefix("team/") for each in images]


def test_few_images_are_asked_and_the_newest_of_equals() -> None:
    whole = LayerList((listed("old", "a", "b"), listed("new", "b", "a"), listed("more", "c"), listed("rest", "a")))
    assert names(whole.holding(map(key, "abcz"), AMD)) == ["new", "more"]
    assert whole.holding(map(key, "z"), AMD) == ()
    assert whole.holding(map(key, "a"), ARM) == ()


def test_no_build_asks_more_images_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_list, "MAX_CHOSEN", 2)
    whole = LayerList(tuple(listed(each, each) for each in "abc"))
    assert len(whole.holding(map(key, "abc"), AMD)) == 2


def test_an_image_is_added_for_what_is_new_on_its_platform() -> None:
    one = LayerList().with_images([listed("one", "a", "b")])
    assert names(one.with_images([listed("again", "b")]).images) == ["one"]
    assert names(one.with_images([listed("arm", "b", platform=ARM), listed("c", "c")]).images) == ["one", "arm", "c"]
    assert names(one.with_images([listed("again", "b")], gone=[key("one")]).images) == ["again"]
    assert LayerList().with_images([listed("empty")]).images == ()


def test_the_oldest_fall_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_list, "MAX_LAYERS", 3)
    grown = LayerList().with_images([listed("one", "a", "b"), listed("two", "b", "c"), listed("three", "d")])
    assert names(grown.images) == ["two", "three"]
    monkeypatch.setattr(layer_list, "MAX_IMAGES", 1)
    assert names(grown.with_images([]).images) == ["three"]


def test_it_is_read_as_it_was_written() -> None:
    whole = LayerList((listed("one", "a", "b"), listed("two", "b", "c", platform=ARM)))
    assert LayerList.parse(whole.json()) == whole
    assert len(whole.json()["layers"]) == 3, "each layer once"


def layer(*values: object) -> dict[str, Any]:
    return {"layers": [list(values)], "images": []}


def image(**values: object) -> dict[str, Any]:
    whole = LayerList((listed("one", "a"),)).json()
    return {**whole, "images": [{**whole["images"][0], **values}]}


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {"layers": []},
        {"layers": {}, "images": []},
        layer(str(key("a"))),
        layer(str(key("a")), str(key("b")), "7"),
        layer(str(key("a")), str(key("b")), -1),
        layer(str(key("a")), str(key("b")), True),
        layer("sha256:x", str(key("b")), 1),
        {"layers": [7], "images": []},
        {"layers": [[]] * 1001, "images": []},
        {"layers": [], "images": [{}]},
        image(repository="../../etc"),
        image(repository="Team/One"),
        image(repository=7),
        image(digest="sha256:1"),
        image(platform="linux"),
        image(platform=None),
        image(layers=[1]),
        image(layers=[-1]),
        image(layers=[True]),
        image(layers="0"),
        image(layers=[0] * 1001),
    ],
)
def test_what_is_malformed_is_none(value: object) -> None:
    with pytest.raises(IntegrityError):
        LayerList.parse(value)


def test_its_place_is_a_repository_with_a_tag() -> None:
    assert place_of("registry.example/team/layers").tag == TAG
    assert place_of("registry.example/team/layers:v2").tag == "v2"
    with pytest.raises(UserError, match="has no digest"):
        place_of(f"registry.example/team/layers@{key('a')}")
