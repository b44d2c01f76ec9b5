"""A project with variants for two platforms where no registry keeps what is beside an image: the local store, layouts, archives.

Judged by `verify`, and by the validator."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelcrate.config import Config
from modelcrate.pipeline import attest
from modelcrate.transports import store
from modelcrate_layers.content import Digest
from support.command import Inside
from support.small_projects import served
from support.validator import assert_valid_found, assert_valid_layout

VARIANTS = """\
platforms: [linux/amd64, linux/arm64]
tests: [{request: '[1]', expect: '[1]'}]
variants:
  - {name: gpu, env: {DEVICE: cuda}}
  - {name: big, platforms: [linux/amd64], env: {SIZE: big}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = served(tmp_path / "project")
    with open(folder / "modelcrate.yaml", "a") as file:
        file.write(VARIANTS)
    return folder


@pytest.fixture
def key(inside: Inside, tmp_path: Path) -> Path:
    inside("keygen", tmp_path / "key").succeeded()
    return tmp_path / "key"


def test_what_is_beside_each_is_about_it_in_a_store(inside: Inside, project: Path, key: Path) -> None:
    inside("lock", project).succeeded()
    private, public = key.with_suffix(".key"), key.with_suffix(".pub")
    inside("build", project, "--sign", private, "--sources", "--locked", "-t", "one:1").succeeded()
    inside("build", project, "-t", "two:1").succeeded()
    inside("sign", "two:1", "--key", private).succeeded()
    for name in ("one:1", "two:1"):
        for ending in ("", "-gpu", "-big"):
            inside("verify", f"{name}{ending}", "--key", public).succeeded()
    for ending in ("", "-gpu", "-big"):
        inside("verify", f"one:1{ending}", "--rebuild", "--key", public).succeeded()


def test_many_variants_may_have_much_beside_them(inside: Inside, project: Path, key: Path, tmp_path: Path) -> None:
    """A limit of what is beside an image is one of each image: a store that took them has to give them."""
    with open(project / "modelcrate.yaml", "a") as file:
        file.writelines(f"  - {{name: v{number}, env: {{N: '{number}'}}}}\n" for number in range(5))
    words = ("--sign", key.with_suffix(".key"), "--sbom", "--provenance", "-t", "many:1")
    made = inside("build", project, *words, "--json").succeeded().json
    assert len(made["images"]) == 15
    inside("verify", "many:1", "--key", key.with_suffix(".pub")).succeeded()
    inside("build", project, *words).succeeded()
    inside("copy", "many:1", f"oci:{tmp_path / 'layout'}:1").succeeded()
    assert_valid_layout(tmp_path / "layout")
    assert inside("digest", f"oci:{tmp_path / 'layout'}:1").succeeded().out.strip() == made["digest"]


def test_one_that_is_copied_alone_takes_what_is_beside_it(
    inside: Inside, project: Path, key: Path, tmp_path: Path
) -> None:
    inside("lock", project).succeeded()
    words = ("--sign", key.with_suffix(".key"), "--sources", "--locked")
    inside("build", project, *words, "-o", f"oci-archive:{tmp_path / 'all.tar'}").succeeded()
    source = f"oci-archive:{tmp_path / 'all.tar'}"
    for name, chosen in (
        ("cpu", ("--variant", "default")),
        ("gpu", ("--variant", "gpu")),
        ("big", ("--variant", "big")),
        ("arm", ("--platform", "linux/arm64")),
    ):
        assert "not signed" not in inside("copy", source, f"store:{name}:1", *chosen).succeeded().err
        inside("verify", f"{name}:1", "--key", key.with_suffix(".pub")).succeeded()
        inside("verify", f"{name}:1", "--rebuild").succeeded()
        if name != "arm":  # `digest` takes no platform
            assert inside("digest", source, *chosen).succeeded().out == inside("digest", f"{name}:1").succeeded().out
    found = store.find("gpu:1", Config(inside.home))
    assert found is not None
    assert_valid_found(found)
    about = {each.subject for each in found.attached() if each.subject is not None}
    assert about <= {found.descriptor.digest, *(each.digest for each in found.members())}


def test_a_prune_takes_nothing_that_is_beside_a_named_image(inside: Inside, project: Path, key: Path) -> None:
    inside("lock", project).succeeded()
    words = ("--sign", key.with_suffix(".key"), "--sources", "--locked", "-t", "kept:1")
    inside("build", project, *words).succeeded()
    inside("cache", "prune").succeeded()
    inside("verify", "kept:1", "--key", key.with_suffix(".pub")).succeeded()
    inside("verify", "kept:1-gpu", "--key", key.with_suffix(".pub")).succeeded()
    inside("verify", "kept:1", "--rebuild").succeeded()
    inside("swap-model", "kept:1", "--model", project / "requirements.txt", "--no-test").succeeded()
    inside("cache", "prune", "--images", "--older-than", "1h").succeeded()
    inside("digest", "kept:1").succeeded()


def test_an_image_is_whole_again_when_it_is_built_again(inside: Inside, project: Path) -> None:
    """What was beside it is lost, as an earlier prune lost it; that is said, and stops no build."""
    built = inside("build", project, "--json").succeeded().json
    entries = json.loads((inside.home / "store" / "index.json").read_text())["manifests"]
    for each in entries:
        digest = Digest.parse(each["annotations"]["io.modelcrate.attached"].partition(" ")[0])
        (inside.home / "store" / "blobs" / "sha256" / digest.hex).unlink(missing_ok=True)
    again = inside("build", project, "--json")
    assert again.succeeded().json["digest"] == built["digest"]
    assert "beside the image before" in again.err
    quiet = inside("build", project)
    assert "beside the image before" not in quiet.succeeded().err
    inside("copy", "served:latest-gpu", "store:other").succeeded()


def test_a_name_that_two_would_have_is_refused_everywhere(inside: Inside, project: Path, tmp_path: Path) -> None:
    inside("build", project, "-t", "x:1", "-t", "x:1-gpu").failed(2, "x:1-gpu", "variant gpu")
    layout = tmp_path / "layout"
    inside("build", project, "-o", f"oci:{layout}:1-big", "-o", f"oci:{layout}:1").failed(2, "1-big", "variant big")
    inside("build", project, "-o", f"oci:{layout}", "-o", f"oci:{layout}-gpu").succeeded()


def test_what_takes_one_image_says_what_is_too_many(inside: Inside, project: Path, tmp_path: Path) -> None:
    target = f"docker-archive:{tmp_path / 'image.tar'}"
    inside("build", project, "-o", target).failed(2, "--variant NAME")
    assert "--platform" in inside("build", project, "--variant", "gpu", "-o", target).failed(2, "linux/arm64 gpu").err
    inside("build", project, "--variant", "big", "-o", target).succeeded()


def test_a_folder_for_a_dockerfile_tells_the_digest_that_its_project_gives(
    inside: Inside, project: Path, tmp_path: Path
) -> None:
    inside("build", project, "--variant", "big", "-o", f"dockerfile:{tmp_path / 'folder'}").succeeded()
    made = inside("build", tmp_path / "folder", "-o", f"oci:{tmp_path / 'layout'}:1", "--json").succeeded().json
    assert made["digest"] in (tmp_path / "folder" / "Dockerfile").read_text()


def test_a_new_index_of_signed_images_is_said_to_be_unsigned(
    inside: Inside, project: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Versions before this one signed no index of the default alone."""
    with monkeypatch.context() as earlier:
        earlier.setattr(attest, "indexes", lambda built: [built.descriptor])
        inside("build", project, "--sign", key.with_suffix(".key"), "-t", "one:1").succeeded()
    said = inside("copy", "one:1", "store:cpu:1", "--variant", "default").succeeded().err
    assert "a new index, and not signed" in said
    inside("sign", "cpu:1", "--key", key.with_suffix(".key")).succeeded()
    inside("verify", "cpu:1", "--key", key.with_suffix(".pub")).succeeded()
