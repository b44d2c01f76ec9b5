"""Several builds at once over one store: all right, all the same; also while somebody deletes what nobody names."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support import real_registry
from support.command import Crate, blobs, half_made, names
from support.small_projects import model_only, served, sparse_model
from support.waiting import HANG


@pytest.fixture
def crate(tmp_path: Path) -> Crate:
    return Crate.at(tmp_path / "home")


def together(processes: list[subprocess.Popen[bytes]]) -> list[str]:
    """Wait for all; their standard outputs."""
    outs = []
    for process in processes:
        with process:
            out, err = process.communicate(timeout=HANG)
            assert process.returncode == 0, err.decode()
            outs.append(out.decode())
    return outs


def digests(outs: list[str]) -> set[str]:
    return {line.split()[1] for out in outs for line in out.splitlines() if line.startswith("image ")}


def test_four_builds_of_one_project_from_cold(crate: Crate, tmp_path: Path) -> None:
    project = served(tmp_path / "project")
    found = digests(together([crate.start("build", project) for _ in range(4)]))
    assert len(found) == 1
    assert names(crate.home / "store") == ["served:latest"]
    assert half_made(crate.home) == []
    assert "sha256:" in crate("inspect", "served").succeeded().out


def test_builds_of_different_projects_keep_all_names(crate: Crate, tmp_path: Path) -> None:
    projects = [model_only(tmp_path / f"p{n}", bytes([n]) * 100_000, name=f"m{n}") for n in range(3)]
    together([crate.start("build", project) for project in projects])
    assert sorted(names(crate.home / "store")) == [f"m{n}:latest" for n in range(3)]
    for n in range(3):
        crate("inspect", f"m{n}").succeeded()


def test_two_builds_into_one_layout(crate: Crate, tmp_path: Path) -> None:
    project, out = sparse_model(tmp_path / "project", 32 << 20), tmp_path / "out"
    together([crate.start("build", project, "-o", f"oci:{out}:{tag}") for tag in ("a", "b", "a")])
    assert sorted(names(out)) == ["a", "b"]
    assert len(blobs(out)) == 3
    assert half_made(out) == []


def test_two_builds_onto_one_archive(crate: Crate, tmp_path: Path) -> None:
    project, out = sparse_model(tmp_path / "project", 32 << 20), tmp_path / "image.tar"
    found = digests(together([crate.start("build", project, "-o", f"oci-archive:{out}") for _ in range(3)]))
    assert len(found) == 1
    assert found.pop() in crate("inspect", f"oci-archive:{out}").succeeded().out
    assert half_made(tmp_path) == []


def test_a_layer_that_was_deleted_from_the_store_is_made_again(crate: Crate, tmp_path: Path) -> None:
    project = served(tmp_path / "project")
    first = crate("build", project, "--json").succeeded().json
    for blob in (crate.home / "store" / "blobs" / "sha256").iterdir():
        blob.unlink()
    again = crate("build", project, "--json").succeeded().json
    assert again["digest"] == first["digest"]
    assert len(blobs(crate.home / "store")) == len(first["layers"]) + 2
    assert half_made(crate.home) == []


def test_layers_that_are_deleted_between_plan_and_delivery_are_made_again(crate: Crate, tmp_path: Path) -> None:
    """As a prune of another process may do it: known to the plan, gone when it is their turn."""
    project, out = served(tmp_path / "project"), tmp_path / "out"
    crate("build", project).succeeded()
    with crate.start("build", project, "-o", f"oci:{out}", "--progress", "json") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if b'"pack"' in line:
                for blob in (crate.home / "store" / "blobs" / "sha256").iterdir():
                    blob.unlink()
                break
        _, err = process.communicate(timeout=HANG)
    assert process.returncode == 0, err.decode()
    assert half_made(out) == []
    crate("inspect", f"oci:{out}").succeeded()


@pytest.mark.parametrize("damage", [b"", b"{", b'{"layer": {}, "sum": "x"}'])
def test_a_damaged_memo_is_no_memo(crate: Crate, tmp_path: Path, damage: bytes) -> None:
    project = served(tmp_path / "project")
    first = crate("build", project, "--json").succeeded().json["digest"]
    for fact in (crate.home / "memo").rglob("*.json"):
        fact.write_bytes(damage)
    assert crate("build", project, "--json").succeeded().json["digest"] == first


@pytest.mark.skipif(bool(real_registry.missing()), reason=real_registry.missing() or "")
def test_two_pushers_of_one_tag(crate: Crate, docker_registry: real_registry.Running, tmp_path: Path) -> None:
    """The tag is one of the two images, whole, with what stands beside it; the other is there by its digest."""
    address = f"{docker_registry.host}/pushers/one:1"
    projects = [model_only(tmp_path / f"p{n}", bytes([n]) * 3_000_000, name="one") for n in range(3)]
    found = digests(together([crate.start("build", each, "--push", address) for each in projects for _ in range(2)]))
    assert len(found) == 3
    tagged = crate("digest", address).succeeded().out.split()[0]
    assert tagged in found
    for digest in found:
        crate("pull", f"{docker_registry.host}/pushers/one@{digest}").succeeded()
        crate("verify", f"{docker_registry.host}/pushers/one@{digest}").succeeded()
        assert "packages" in crate("sbom", f"registry:{docker_registry.host}/pushers/one@{digest}").succeeded().out
