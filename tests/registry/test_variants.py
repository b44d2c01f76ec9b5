"""A project with a variant, in a real registry: one index, a tag for each, shared layers sent once; and what later commands keep of it.

Judged by the registry's own log, and by what its tags are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modelcrate.config import Config
from modelcrate.transports.addresses import find
from modelcrate.transports.connections import Connections
from support import real_registry
from support.command import Crate, in_this_process
from support.images import noise
from support.images_by_hand import write_layout
from support.real_registry import Running
from support.rootfs import layer, member
from support.small_projects import SCRIPT, served
from support.validator import assert_valid_found
from support.wheels import make_wheel

VARIANT = """\
variants:
  - name: gpu
    dependencies: [tiny-lib-gpu]
    env: {DEVICE: cuda}
"""


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    with in_this_process(monkeypatch, capfd):
        yield


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose variant has another wheel with the module that the script imports."""
    folder = served(tmp_path / "project")
    make_wheel(folder / "wheels", "tiny-lib-gpu", "1.0", {"tiny_lib.py": b"answer = 'gpu'\n"})
    (folder / "model.bin").write_bytes(noise(300_000, 7))
    (folder / "src" / "score.py").write_text(f"import tiny_lib\n{SCRIPT}")
    with open(folder / "modelcrate.yaml", "a") as file:
        file.write(VARIANT)
    return folder


@pytest.fixture
def crate(tmp_path: Path) -> Crate:
    (tmp_path / "home").mkdir()
    return Crate.at(tmp_path / "home")


@dataclass(frozen=True)
class Tagged:
    """What a tag of a registry is, by the registry alone."""

    digest: str
    images: dict[str, str]
    """The digests of an index's images by the names of their variants."""


def tagged(reference: str, tmp_path: Path) -> Tagged:
    found = find(f"registry:{reference}", Connections(Config(tmp_path / "judge", {"HOME": str(tmp_path)})))
    assert assert_valid_found(found).images
    images = {each.annotations.get("io.modelcrate.variant", ""): str(each.digest) for each in found.members()}
    return Tagged(str(found.descriptor.digest), images)


def build(crate: Crate, project: Path, *words: str | Path) -> Any:
    return crate("build", project, "--json", "--progress", "none", *words).succeeded().json


def uploads(registry: Running, since: int) -> Counter[str]:
    """How often each blob was finished, by digest, by the registry's log."""
    done = [path for method, path, status in registry.asked(since) if method == "PUT" and status == 201]
    return Counter(path.partition("digest=")[2].replace("%3A", ":") for path in done if "/blobs/uploads/" in path)


def test_one_index_a_tag_each_and_what_they_share_is_sent_once(
    crate: Crate, project: Path, registry: Running, tmp_path: Path
) -> None:
    name = f"{registry.host}/variants/once:1"
    crate("lock", project).succeeded()
    since = len(registry.asked())
    receipt = build(crate, project, "--locked", "--push", name)
    default, gpu = receipt["images"]
    assert (default.get("variant"), gpu["variant"]) == (None, "gpu")
    whole = tagged(name, tmp_path)
    assert whole == Tagged(receipt["digest"], {"": default["digest"], "gpu": gpu["digest"]})
    assert list(whole.images) == ["", "gpu"], "engines take the first"
    assert tagged(f"{name}-gpu", tmp_path).digest == gpu["digest"]
    assert receipt["outputs"][0]["variants"] == {"gpu": f"{name}-gpu"}
    own, others = ({each["digest"] for each in one["layers"]} for one in (default, gpu))
    assert len(own & others) == len(own) - 1 == 4, "the environment, the server, the model and the entry"
    sent = uploads(registry, since)
    assert {each for each in own | others if sent[each] != 1} == set()
    since = len(registry.asked())
    assert build(crate, project, "--locked", "--push", name)["digest"] == receipt["digest"]
    assert not uploads(registry, since)


def test_the_default_is_the_image_that_the_project_gives_without_variants(
    crate: Crate, project: Path, tmp_path: Path
) -> None:
    both = build(crate, project, "-o", f"oci:{tmp_path}/both:1")
    for name, made in (("default", both["images"][0]), ("gpu", both["images"][1])):
        alone = build(crate, project, "--variant", name, "-o", f"oci:{tmp_path}/{name}:1")
        assert alone["digest"] == made["digest"]
    text = (project / "modelcrate.yaml").read_text().replace(VARIANT, "")
    (project / "modelcrate.yaml").write_text(text)
    assert build(crate, project, "-o", f"oci:{tmp_path}/none:1")["digest"] == both["images"][0]["digest"]


def test_a_lock_has_all_variants_and_a_change_of_one_is_told(crate: Crate, project: Path) -> None:
    crate("lock", project).succeeded()
    lock = json.loads((project / "modelcrate.lock").read_text())
    assert [each["name"] for each in lock["variants"]["gpu"]["platforms"]["linux/amd64"]["wheels"]] == [
        "gunicorn",
        "tiny-lib-gpu",
    ]
    text = (project / "modelcrate.yaml").read_text()
    (project / "modelcrate.yaml").write_text(text.replace("[tiny-lib-gpu]", "[tiny-lib]"))
    crate("build", project, "--locked").failed(7, "- tiny-lib-gpu", "+ tiny-lib", "variant gpu")
    crate("build", project, "--locked", "--variant", "default").succeeded()
    (project / "modelcrate.yaml").write_text(text.replace("name: gpu", "name: tpu"))
    crate("build", project, "--locked").failed(7, "variants: - gpu + tpu")
    (project / "modelcrate.yaml").write_text(text.replace(VARIANT, ""))
    crate("build", project, "--locked").failed(7, "variants: - gpu")


def test_plan_shows_each_and_what_they_share(crate: Crate, project: Path) -> None:
    plan = crate("plan", project, "--json", "--progress", "none").succeeded().json
    assert [each.get("variant") for each in plan["platforms"]] == [None, "gpu"]
    said = crate("plan", project).succeeded().out
    assert "linux/amd64 gpu" in said
    assert "in several of the images: 4 layers" in said


def test_commands_take_the_variant_that_is_named(crate: Crate, project: Path) -> None:
    receipt = build(crate, project)
    for words, wanted in (((), "digest"), (("--variant", "gpu"), 1), (("--variant", "default"), 0)):
        digest = receipt["digest"] if wanted == "digest" else receipt["images"][wanted]["digest"]
        assert crate("digest", "served", *words).succeeded().out.strip() == digest
    assert "tiny-lib-gpu 1.0" in crate("explain", "served", "--variant", "gpu").succeeded().out
    assert "tiny-lib-gpu" not in crate("explain", "served").succeeded().out
    assert "cuda" in crate("diff", "served", "served:latest-gpu").succeeded().out
    assert "no difference" in crate("diff", "served", "served:latest-gpu", "--variant", "gpu").succeeded().out
    crate("inspect", "served", "--variant", "tpu").failed(3, "no variant 'tpu'", "default, gpu")
    crate("build", project, "--variant", "tpu").failed(2, "no variant 'tpu'", "default, gpu")
    crate("lock", project).succeeded()
    crate("verify", project, "--against", "served").succeeded()
    bill = crate("sbom", "served", "--variant", "gpu").succeeded().json
    assert "tiny-lib-gpu" in {each["name"] for each in bill["packages"]}


def test_what_is_beside_them_is_about_each(crate: Crate, project: Path, registry: Running, tmp_path: Path) -> None:
    name = f"{registry.host}/variants/beside:1"
    crate("keygen", tmp_path / "key").succeeded()
    crate("lock", project).succeeded()
    with open(project / "modelcrate.yaml", "a") as file:
        file.write("tests: [{request: '[1]', expect: '[1]'}]\n")
    build(crate, project, "--locked", "--push", name, "--sign", tmp_path / "key.key", "--sources", "--provenance")
    for one in (name, f"{name}-gpu"):
        crate("verify", one, "--key", tmp_path / "key.pub").succeeded()
        crate("verify", one, "--rebuild").succeeded()
    found = find(f"registry:{name}-gpu", Connections(Config(tmp_path / "judge", {"HOME": str(tmp_path)})))
    kinds = {each.kind for each in found.attached()}
    assert len(kinds) >= 4, "golden requests, sources, a signature, attestations"
    assert tagged(name, tmp_path).images["gpu"] == tagged(f"{name}-gpu", tmp_path).digest


def test_another_model_goes_into_every_variant(crate: Crate, project: Path, registry: Running, tmp_path: Path) -> None:
    name = f"{registry.host}/variants/swapped:1"
    build(crate, project, "--push", name)
    before = tagged(name, tmp_path)
    (tmp_path / "new.bin").write_bytes(noise(200_000, 8))
    crate("swap-model", name, "--model", tmp_path / "new.bin").succeeded()
    after = tagged(name, tmp_path)
    assert list(after.images) == ["", "gpu"]
    assert not set(after.images.values()) & set(before.images.values())
    assert tagged(f"{name}-gpu", tmp_path).digest == after.images["gpu"]


def based(folder: Path, host: str, crate: Crate, name: str, *versions: str) -> None:
    """Puts bases into a registry: a file each, on no Python."""
    for version in versions:
        files = [layer(member("etc/base", f"{name} {version}".encode()))]
        place = write_layout(folder / f"{name}{version}", files, {"Env": ["PATH=/bin"]})
        crate("copy", place, f"registry:{host}/variants/{name}:{version}").succeeded()


def test_a_base_is_replaced_where_it_is_and_no_variant_is_lost(crate: Crate, registry: Running, tmp_path: Path) -> None:
    host = registry.host
    based(tmp_path, host, crate, "os", "1", "2")
    based(tmp_path, host, crate, "cuda", "1", "2")
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "model.txt").write_text("weights\n")
    (folder / "modelcrate.yaml").write_text(
        f"name: on-bases\nbase: {host}/variants/os:1\nmodels: [model.txt]\n"
        f"variants:\n- {{name: gpu, base: '{host}/variants/cuda:1'}}\n- {{name: big, env: {{SIZE: big}}}}\n"
    )
    name = f"{host}/variants/on-bases:1"
    build(crate, folder, "--push", name)
    first = tagged(name, tmp_path)
    said = crate("rebase", name, "--onto", f"{host}/variants/os:2").succeeded().err
    assert "the variant gpu stays on its base" in said
    second = tagged(name, tmp_path)
    assert list(second.images) == ["", "gpu", "big"]
    assert {each for each in first.images if first.images[each] != second.images[each]} == {"", "big"}
    crate("rebase", f"{host}/variants/on-*", "--all", "--onto", f"{host}/variants/cuda:2").succeeded()
    third = tagged(name, tmp_path)
    assert {each for each in second.images if second.images[each] != third.images[each]} == {"gpu"}
    assert {each: tagged(f"{name}-{each}", tmp_path).digest for each in ("gpu", "big")} == {
        each: third.images[each] for each in ("gpu", "big")
    }


def test_a_bundle_carries_all_of_them(crate: Crate, project: Path, registry: Running, tmp_path: Path) -> None:
    name = f"{registry.host}/variants/carried:1"
    receipt = build(crate, project, "--push", name)
    crate("bundle", "create", "-o", tmp_path / "it.bundle", name).succeeded()
    (tmp_path / "there").mkdir()
    with real_registry.running(tmp_path / "there") as other:
        crate("bundle", "load", tmp_path / "it.bundle", "--to", f"registry:{other.host}").succeeded()
        assert tagged(f"{other.host}/variants/carried:1", tmp_path).digest == receipt["digest"]
        alone = tagged(f"{other.host}/variants/carried:1-gpu", tmp_path)
        assert alone.digest == receipt["images"][1]["digest"]


def test_a_tag_that_two_would_have_is_refused_before_anything_is_built(
    crate: Crate, project: Path, registry: Running
) -> None:
    name = f"{registry.host}/variants/meeting:1"
    crate("build", project, "--push", name, "--push", f"{name}-gpu").failed(2, f"{name}-gpu", "variant gpu")
    crate("build", project, "--push", f"{registry.host}/variants/x:{'t' * 126}").failed(2, "a tag is 1 to 128")


def test_each_is_signed_wherever_it_goes(crate: Crate, project: Path, registry: Running, tmp_path: Path) -> None:
    """Indexes of a variant and of the project alone are no part of the index: their signatures stayed behind, or were never made."""
    name, other = f"{registry.host}/variants/signed:1", f"{registry.host}/variants/moved:1"
    with open(project / "modelcrate.yaml", "a") as file:
        file.write("platforms: [linux/amd64, linux/arm64]\n")
    crate("keygen", tmp_path / "key").succeeded()
    build(crate, project, "--push", name, "--sign", tmp_path / "key.key")
    crate("copy", f"registry:{name}", f"registry:{other}").succeeded()
    crate("copy", f"registry:{other}", f"registry:{other}-cpu", "--variant", "default").succeeded()
    for one in (other, f"{other}-gpu", f"{other}-cpu"):
        crate("verify", one, "--key", tmp_path / "key.pub").succeeded()


def test_a_copy_of_signed_bills_gets_no_others(crate: Crate, project: Path, registry: Running, tmp_path: Path) -> None:
    name, other = f"{registry.host}/variants/bills:1", f"{registry.host}/variants/copied:1"
    crate("keygen", tmp_path / "key").succeeded()
    build(crate, project, "--push", name, "--sign", tmp_path / "key.key")
    crate("copy", f"registry:{name}", f"registry:{other}").succeeded()
    assert "spdx+json" not in crate("verify", other, "--key", tmp_path / "key.pub").succeeded().out


def test_a_variant_that_is_new_has_not_grown(crate: Crate, project: Path) -> None:
    """It was refused under --against, as if the image that is named were a wrong one."""
    text = (project / "modelcrate.yaml").read_text()
    (project / "modelcrate.yaml").write_text(text.replace(VARIANT, ""))
    crate("build", project, "-t", "before:1").succeeded()
    (project / "modelcrate.yaml").write_text(text)
    budget = ("--max-layer-growth", "1kB", "--against", "before:1")
    said = crate("build", project, *budget, "-t", "after:1").succeeded().err
    assert "no earlier image is there to measure linux/amd64 gpu against" in said
    (project / "model.bin").write_bytes(noise(400_000, 7))
    crate("build", project, *budget, "-t", "after:2").failed(8, "grew by 10")
