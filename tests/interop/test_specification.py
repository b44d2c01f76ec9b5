"""The demo and the fixtures against the image specification, by an oracle that trusts no code of ours."""

from __future__ import annotations

import json

import pytest

from support.demo import Built
from support.validator import assert_schema, assert_valid_archive, assert_valid_layout, schemas

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module", params=["small", "small_gzip", pytest.param("demo", marks=pytest.mark.network)])
def built(request: pytest.FixtureRequest) -> Built:
    made = request.getfixturevalue(request.param)
    assert isinstance(made, Built)
    return made


def test_the_layout_is_valid(built: Built) -> None:
    checked = assert_valid_layout(built.layout)
    assert (checked.images, checked.layers) == (1, len(built.receipt["layers"]))


def test_the_archives_are_valid(built: Built) -> None:
    for archive in (built.oci_archive, built.docker_archive):
        checked = assert_valid_archive(archive)
        assert (checked.images, checked.layers) == (1, len(built.receipt["layers"])), archive.name


def test_the_documents_fit_the_schemas_of_the_specification(built: Built) -> None:
    if schemas() is None:
        pytest.skip("the JSON schemas of the image specification are not at hand")
    manifest = built.document(built.digest)
    assert_schema("manifest", manifest)
    assert_schema("config", built.document(built.id))
    assert_schema("index", json.loads((built.layout / "index.json").read_bytes()))
    assert_schema("layout", json.loads((built.layout / "oci-layout").read_bytes()))
    assert str(manifest["config"]["digest"]) == built.id
