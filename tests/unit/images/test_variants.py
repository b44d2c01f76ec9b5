"""Variants in an index: which image is chosen, what the index says of each, and names that a foreign index may have."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modelcrate.images import image
from modelcrate.images.image import VARIANT, Image, Index, combine, variants_of
from modelcrate.images.image_config import RunSpec
from modelcrate.images.manifests import of_variant
from modelcrate_layers.content import Descriptor, Digest, MediaType, Platform
from modelcrate_layers.errors import SourceError


def made(variant: str = "", platform: str = "linux/amd64") -> Image:
    notes = {"title": "x"} | ({VARIANT: variant} if variant else {})
    return image.assemble(Platform.parse(platform), {}, [], RunSpec(env={"V": variant}), annotations=notes)


def entries(index: Index) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(index.index.data)["manifests"]
    return found


def test_an_index_names_a_variant_and_asks_for_the_platform_of_its_config_alone() -> None:
    default, gpu = entries(combine([made(), made("gpu")]))
    assert default == made().descriptor.json()
    assert gpu["annotations"] == {VARIANT: "gpu"}
    assert gpu["platform"] == {"architecture": "amd64", "os": "linux"}, "validators hold it to the config"


def test_a_variant_for_several_platforms_is_an_index_of_its_own() -> None:
    one, other = made("gpu"), made("gpu", "linux/arm64")
    index = combine([made(), made("", "linux/arm64"), one, other, made("tpu")])
    assert variants_of(index) == {"gpu": combine([one, other]), "tpu": made("tpu")}


def test_an_index_of_one_variant_has_none_beside_it() -> None:
    assert variants_of(combine([made("gpu"), made("gpu", "linux/arm64")])) == {}
    assert variants_of(made("gpu")) == {}


@pytest.mark.parametrize("name", ["../up", "a b", "GPU", "x" * 33, "default", "a\nb", "-x"])
def test_a_foreign_name_that_is_the_end_of_no_tag_gets_none(name: str) -> None:
    assert variants_of(combine([made(), made(name), made("gpu")])) == {"gpu": made("gpu")}


def entry(variant: str) -> Descriptor:
    notes = {VARIANT: variant} if variant else {}
    return Descriptor(MediaType.MANIFEST, Digest.of(variant.encode()), 1, notes)


def test_without_a_name_those_are_chosen_that_are_no_variant() -> None:
    default, gpu = entry(""), entry("gpu")
    assert of_variant([gpu, default], "", "x") == [default]
    assert of_variant([gpu, default], "default", "x") == [default]
    assert of_variant([gpu, default], "gpu", "x") == [gpu]
    assert of_variant([gpu], "", "x") == [gpu], "nothing else is there"


def test_a_variant_that_is_not_there_is_refused_with_those_that_are() -> None:
    for name, listed, there in (("tpu", [entry(""), entry("gpu")], "default, gpu"), ("default", [entry("gpu")], "gpu")):
        with pytest.raises(SourceError, match=name) as refused:
            of_variant(listed, name, "x")
        assert refused.value.why == f"it has: {there}"
