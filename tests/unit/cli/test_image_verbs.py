"""The verbs that show, compare, check and move an image that is in the local store."""

from __future__ import annotations

from pathlib import Path

from support.command import Inside, names
from support.small_projects import model_only, served


def test_images_are_listed(inside: Inside, alone: Path) -> None:
    (found,) = inside("images", "--json").succeeded().json
    assert (found["repository"], found["tag"]) == ("alone", "latest")
    table = inside("images").succeeded().out.splitlines()
    assert table[0].split()[:3] == ["REPOSITORY", "TAG", "IMAGE"]
    assert table[1].split()[:3] == ["alone", "latest", found["id"][7:19]]


def test_an_image_is_shown(inside: Inside, alone: Path) -> None:
    facts = inside("inspect", "alone", "--json").succeeded().json
    text = inside("inspect", "alone").succeeded().out
    assert facts["digest"] in text
    assert facts["images"][0]["id"] in text
    assert "user" in text
    assert inside("digest", "alone").succeeded().out.strip() == facts["digest"]
    assert (
        inside("digest", "alone", "--platform", "linux/amd64", "--json").succeeded().json["digest"] == facts["digest"]
    )
    inside("inspect", "nothing").failed(3, "there is no image 'nothing'")


def test_what_changed_between_two_images_is_explained(inside: Inside, alone: Path) -> None:
    inside("build", alone, "-t", "alone:old").succeeded()
    (alone / "model.bin").write_bytes(b"other weights" * 1000)
    inside("build", alone, "-t", "alone:new").succeeded()
    (only,) = inside("explain", "alone:old", "--json").succeeded().json["layers"]
    assert (only["role"], only["state"]) == ("model", "layer")
    (changed,) = inside("explain", "alone:old", "alone:new", "--platform", "linux/amd64", "--json").json["layers"]
    assert changed["state"] == "changed"
    assert "model.bin changed" in changed["cause"]
    assert "changed" in inside("explain", "alone:old", "alone:new").succeeded().out


def test_two_images_are_compared(inside: Inside, alone: Path) -> None:
    inside("build", alone, "-t", "alone:old").succeeded()
    assert inside("diff", "alone", "alone:old").succeeded().out == "no difference\n"
    (alone / "model.bin").write_bytes(b"other weights" * 1000)
    (alone / "modelcrate.yaml").write_text((alone / "modelcrate.yaml").read_text() + "env: {A: b}\n")
    inside("build", alone, "-t", "alone:new").succeeded()
    found = inside("diff", "alone:old", "alone:new", "--json").succeeded().json
    assert not found["same"]
    assert [each["state"] for each in found["files"]] == ["changed"]
    assert found["config"]
    text = inside("diff", "alone:old", "alone:new").succeeded().out
    assert "  ~  " in text
    assert "model.bin" in text


def test_bytes_are_verified(inside: Inside, alone: Path, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    inside("copy", "alone", f"oci:{layout}:1").succeeded()
    assert "1 document and 2 blobs" in inside("verify", f"oci:{layout}:1").succeeded().out
    largest = max((layout / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    data = largest.read_bytes()
    largest.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    damaged = inside("verify", f"oci:{layout}:1", "--json")
    assert damaged.code == 5
    assert any(largest.name in line for line in damaged.json["mismatches"])


def test_a_project_is_built_once_more_and_compared(inside: Inside, tmp_path: Path) -> None:
    project = served(tmp_path / "project")
    inside("lock", project).succeeded()
    digest = inside("build", project, "--json").succeeded().json["digest"]
    facts = inside("verify", project, "--json").succeeded().json
    assert (facts["rebuilt"], facts["mismatches"]) == (digest, [])
    inside("build", model_only(tmp_path / "other"), "-t", "other:1").succeeded()
    other = inside("verify", project, "--against", "other:1")
    assert other.code == 5
    assert "mismatches (exit 5)" in other.out


def test_an_image_is_copied_from_place_to_place(inside: Inside, alone: Path, tmp_path: Path) -> None:
    digest = inside("digest", "alone").succeeded().out
    inside("copy", "alone", f"oci-archive:{tmp_path / 'a.tar'}:1").succeeded()
    inside("copy", f"oci-archive:{tmp_path / 'a.tar'}:1", f"oci:{tmp_path / 'out'}:2").succeeded()
    receipt = inside("copy", f"oci:{tmp_path / 'out'}:2", "store:again", "--platform", "linux/amd64", "--json")
    assert receipt.succeeded().json["digest"] == digest.strip()
    assert names(tmp_path / "out") == ["2"]
    assert inside("digest", "again").succeeded().out == digest


def test_the_bill_of_materials_of_an_image_and_of_its_project(inside: Inside, tmp_path: Path) -> None:
    project = served(tmp_path / "project")
    inside("build", project).succeeded()
    of_image = inside("sbom", "served").succeeded().json
    of_project = inside("sbom", project, "--format", "cyclonedx").succeeded().json
    assert {"tiny-lib", "gunicorn"} <= {each["name"] for each in of_image["packages"]}
    assert {"tiny-lib", "gunicorn"} <= {each["name"] for each in of_project["components"]}
    inside("sbom", project, "--platform", "linux/s390x").failed(2, "linux/s390x")


def test_what_the_home_holds_is_counted_pruned_and_checked(inside: Inside, alone: Path) -> None:
    held = inside("cache", "du", "--json").succeeded().json
    assert held["bytes"] > 1000
    assert "in all" in inside("cache", "du").succeeded().out
    would = inside("cache", "prune", "--images", "--keep", "0", "--dry-run", "--json").succeeded().json
    assert inside("cache", "du", "--json").json == held
    gone = inside("cache", "prune", "--images", "--keep", "0", "--json").succeeded().json
    assert gone["bytes"] == would["bytes"] > 0
    assert inside("images", "--json").json == []
    inside("cache", "prune", "--older-than", "soon").failed(2, "not an age")
    inside("cache", "prune", "--keep", "much").failed(2, "not a size")


def test_damage_in_the_home_is_found_and_repaired(inside: Inside, alone: Path) -> None:
    assert ": none damaged" in inside("cache", "check").succeeded().out
    blobs = (path for path in (inside.home / "store").rglob("sha256/*") if path.is_file())
    largest = max(blobs, key=lambda path: path.stat().st_size)
    largest.chmod(0o644)
    largest.write_bytes(b"damaged")
    found = inside("cache", "check")
    assert found.code == 5
    assert f"{largest} is damaged; build or pull again: alone:latest" in found.out
    assert inside("cache", "check", "--repair", "--json").succeeded().json["damaged"][0]["path"] == str(largest)
    assert not largest.exists()
    assert inside("cache", "check").succeeded().out
