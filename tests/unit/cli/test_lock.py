"""`lock` pins, `build --locked` keeps to it or names what differs, and a plain build passes over a lock of another state."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import bases
from support.bases import small
from support.command import Inside, names
from support.rootfs import layer, member
from support.small_projects import served
from support.wheels import make_wheel

LOCKED = 7


@pytest.fixture
def project(inside: Inside, tmp_path: Path) -> Path:
    project = served(tmp_path / "project", base="{from: 'oci:base', interpreter: /usr/bin/python3.11}")
    bases.written(project / "base", bases.files([small()]))
    inside("lock", project).succeeded()
    return project


def edit(project: Path, old: str, new: str) -> None:
    text = (project / "modelcrate.yaml").read_text()
    assert old in text
    (project / "modelcrate.yaml").write_text(text.replace(old, new))


def test_what_is_locked_is_built(inside: Inside, project: Path) -> None:
    built = inside("build", project, "--locked", "--json").succeeded().json
    assert inside("build", project, "--json").succeeded().json["digest"] == built["digest"]


def test_a_lock_made_again_is_the_same_file_and_names_no_place(inside: Inside, project: Path, tmp_path: Path) -> None:
    before = (project / "modelcrate.lock").read_bytes()
    inside("lock", project).succeeded()
    assert (project / "modelcrate.lock").read_bytes() == before
    assert str(tmp_path).encode() not in before
    assert b"://" not in before


def test_without_a_lock(inside: Inside, project: Path) -> None:
    (project / "modelcrate.lock").unlink()
    inside("build", project, "--locked").failed(LOCKED, "there is no lock", "modelcrate lock")


def test_a_damaged_lock(inside: Inside, project: Path) -> None:
    lock = project / "modelcrate.lock"
    lock.write_bytes(lock.read_bytes()[:-20])
    inside("build", project, "--locked").failed(LOCKED, "modelcrate.lock", "lock again")


@pytest.mark.parametrize("change", ["other bytes", "larger", "added", "gone", "renamed"])
def test_a_model_that_changed(inside: Inside, project: Path, change: str) -> None:
    model = project / "model.bin"
    if change == "other bytes":
        model.write_bytes(b"WEIGHTS" * 1000)
        inside("build", project, "--locked").failed(LOCKED, "model served:1", "other bytes")
    elif change == "larger":
        model.write_bytes(b"weights" * 1001)
        inside("build", project, "--locked").failed(LOCKED, "model served:1", "model.bin", "7000 bytes", "7007 bytes")
    elif change == "added":
        edit(project, "entry:", "  - {path: two.bin, name: two, version: 3}\nentry:")
        (project / "two.bin").write_bytes(b"2")
        inside("build", project, "--locked").failed(LOCKED, "two:3")
    elif change == "gone":
        model.unlink()
        inside("build", project, "--locked").failed(3, "model.bin")
    else:
        edit(project, "version: 1", "version: 2")
        inside("build", project, "--locked").failed(LOCKED, "served:2")
    assert names(inside.home / "store") == []


def test_a_requirement_that_was_added(inside: Inside, project: Path) -> None:
    make_wheel(project / "wheels", "another", "1.0")
    (project / "requirements.txt").write_text("tiny-lib\nanother\n")
    inside("build", project, "--locked").failed(LOCKED, "+ another")


def test_another_python(inside: Inside, project: Path) -> None:
    edit(project, '"3.11"', '"3.12"')
    edit(project, "python3.11", "python3.12")
    inside("build", project, "--locked").failed(LOCKED, "3.12")


def test_a_platform_that_was_added(inside: Inside, project: Path) -> None:
    edit(project, "base:", "platforms: [linux/amd64, linux/arm64]\nbase:")
    inside("build", project, "--locked").failed(LOCKED, "linux/arm64")


def test_another_base(inside: Inside, project: Path) -> None:
    edit(project, "oci:base", "oci:other")
    inside("build", project, "--locked").failed(LOCKED, "oci:base", "oci:other")


def test_a_base_with_other_bytes(inside: Inside, project: Path) -> None:
    other = layer(member("etc/hello", b"other"))
    bases.written(project / "base", bases.files([other]))
    inside("build", project, "--locked").failed(LOCKED, "the base", "has changed", "sha256:")


def test_a_wheel_that_is_gone(inside: Inside, project: Path, tmp_path: Path) -> None:
    """From the cache it is built as ever; without, it is named."""
    inside("build", project, "--locked").succeeded()  # which fills the cache; `lock` fetches nothing
    next((project / "wheels").glob("tiny*")).unlink()
    inside("build", project, "--locked").succeeded()
    fresh = Inside(tmp_path / "fresh", inside.environment, run=inside.run)
    for each in (inside.home / "cache").rglob("*.whl"):
        each.unlink()
    for blob in (inside.home / "store" / "blobs" / "sha256").iterdir():
        blob.unlink()
    for fact in (inside.home / "memo").rglob("*.json"):
        fact.unlink()
    assert fresh.home != inside.home
    inside("build", project, "--locked").failed(LOCKED, "tiny-lib")


def test_a_newer_wheel_does_not_matter(inside: Inside, project: Path) -> None:
    before = inside("build", project, "--locked", "--json").succeeded().json["digest"]
    make_wheel(project / "wheels", "tiny-lib", "2.0")
    assert inside("build", project, "--locked", "--json").succeeded().json["digest"] == before


def test_a_plain_build_passes_over_a_lock_of_another_state(inside: Inside, project: Path) -> None:
    make_wheel(project / "wheels", "another", "1.0")
    (project / "requirements.txt").write_text("another\n")
    done = inside("build", project).succeeded()
    assert "modelcrate.lock is of another state" in done.err
