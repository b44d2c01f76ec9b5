"""docker-registry takes our pushes; skopeo, podman and buildah get from it what we say that we sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.demo import Built, copy_of_demo
from support.engines import podman
from support.real_registry import Running
from support.shared_command import Modelcrate
from support.tools import call, need, skopeo

pytestmark = pytest.mark.interop

PLAIN = "--src-tls-verify=false"


def blobs(layout: Path) -> set[str]:
    return {path.name for path in (layout / "blobs" / "sha256").iterdir()}


@pytest.fixture(scope="module", params=["small", pytest.param("demo", marks=pytest.mark.network)])
def built(request: pytest.FixtureRequest) -> Built:
    made = request.getfixturevalue(request.param)
    assert isinstance(made, Built)
    return made


@pytest.fixture(scope="module")
def pushed(built: Built, modelcrate: Modelcrate, docker_registry: Running) -> str:
    """The image's reference in a real registry."""
    name = f"{docker_registry.host}/team/{built.receipt['name']}:1"
    receipt = modelcrate.json("push", f"oci:{built.layout}:1", name)
    assert receipt["outputs"][0]["digest"] == built.digest
    return name


def test_skopeo_sees_our_digest(built: Built, pushed: str) -> None:
    need("skopeo")
    seen = json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{pushed}"))
    assert (seen["Digest"], seen["Architecture"]) == (built.digest, "amd64")
    assert seen["Layers"] == [layer["digest"] for layer in built.receipt["layers"]]


def test_skopeo_copies_the_image_to_a_layout_byte_for_byte(built: Built, pushed: str, tmp_path: Path) -> None:
    need("skopeo")
    skopeo("copy", "--preserve-digests", PLAIN, f"docker://{pushed}", f"oci:{tmp_path}/oci:1")
    named = json.loads((tmp_path / "oci" / "index.json").read_text())["manifests"][0]
    assert named["digest"] == built.digest
    assert blobs(tmp_path / "oci") == blobs(built.layout)


@pytest.mark.parametrize("built", ["small_gzip", pytest.param("gzip_demo", marks=pytest.mark.network)], indirect=True)
def test_skopeo_makes_a_docker_archive_of_it(built: Built, pushed: str, tmp_path: Path) -> None:
    """Of the gzip variant: Docker's own manifests have no word for zstd, and this skopeo knows no other way into its archives."""
    need("skopeo")
    skopeo("copy", PLAIN, f"docker://{pushed}", f"docker-archive:{tmp_path}/image.tar:x:1")
    config = json.loads(skopeo("inspect", "--config", f"docker-archive:{tmp_path}/image.tar"))
    assert config["rootfs"]["diff_ids"] == [layer["diff_id"] for layer in built.receipt["layers"]]


def test_podman_pulls_it_under_our_digest(built: Built, pushed: str) -> None:
    assert_pulled("podman", built, pushed)


@pytest.mark.parametrize("built", ["small"], indirect=True)
def test_buildah_pulls_it_under_our_digest(built: Built, pushed: str) -> None:
    assert_pulled("buildah", built, pushed)


def assert_pulled(program: str, built: Built, pushed: str) -> None:
    with podman(program) as client:
        client("pull", "--tls-verify=false", pushed)
        listed = client("images", "--digests", "--no-trunc")
    assert built.digest in listed
    assert built.id in listed


@pytest.mark.network
def test_crane_finds_no_fault_in_the_gzip_variant(
    gzip_demo: Built, modelcrate: Modelcrate, docker_registry: Running
) -> None:
    """crane expects gzip of every layer, so this one only."""
    need("crane")
    name = f"{docker_registry.host}/team/gzip:1"
    modelcrate.said("push", f"oci:{gzip_demo.layout}:1", name)
    assert "PASS" in call("crane", "validate", "--insecure", "--remote", name)


def test_a_second_push_sends_no_blob(small: Built, modelcrate: Modelcrate, talkative_registry: Running) -> None:
    name = f"{talkative_registry.host}/team/twice:1"
    first = modelcrate.json("push", f"oci:{small.layout}:1", name)["outputs"][0]
    before = len(talkative_registry.answered())
    second = modelcrate.json("push", f"oci:{small.layout}:1", name)["outputs"][0]
    stored = sum(layer["size"] for layer in small.receipt["layers"])
    assert first["bytes_sent"] >= stored
    assert second["bytes_sent"] == 0
    assert second["bytes_there"] >= stored
    asked = talkative_registry.answered()[before:]
    assert {each["method"] for each in asked if "/blobs/" in each["uri"]} <= {"HEAD"}
    assert {each["method"] for each in asked} <= {"HEAD", "GET"}


@pytest.mark.network
def test_a_change_of_one_line_of_the_script_moves_kilobytes(
    demo: Built, modelcrate: Modelcrate, docker_registry: Running, tmp_path: Path
) -> None:
    name = f"{docker_registry.host}/team/edited"
    project = copy_of_demo(tmp_path / "diabetes")
    first = modelcrate.json("build", project, "--push", f"{name}:1")
    script = project / "src" / "score.py"
    script.write_text(script.read_text() + "\nLINE = 1\n")
    second = modelcrate.json("build", project, "--push", f"{name}:2", "--no-sbom")
    assert second["outputs"][0]["bytes_sent"] < 100_000
    assert second["outputs"][0]["requests"] < 30
    same = [old["digest"] == new["digest"] for old, new in zip(first["layers"], second["layers"], strict=True)]
    assert same == [layer["role"] != "entry" for layer in second["layers"]]
    assert {layer["origin"] for layer in second["layers"] if layer["role"] != "entry"} == {"known"}
    told = modelcrate.json("build", project, "--push", f"{name}:2")["outputs"][0]
    assert 0 < told["bytes_sent"] < 150_000, "the bills of materials of 46 packages, and nothing of the image"
    assert told["requests"] < second["outputs"][0]["requests"] + 20
