"""`lock` resolves and builds nothing: sizes and hashes come from the index, and what was locked gives the same image everywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from support.command import Crate, in_this_process
from support.images import noise
from support.index import PackageIndex, serve
from support.small_projects import SCRIPT, write_project
from support.validator import assert_valid_layout
from support.wheels import filename, wheel_bytes

LARGE = 16 << 20
LIMIT = 30_000_000
"""Bytes that locking torch and transformers may move."""


@cache
def wheels() -> dict[str, bytes]:
    """PyTorch and what it brings, by their names and dependencies; together more than `lock` may move.

    Made by the first test that wants them, and not by each worker that collects this file: that is six seconds of zlib.
    """

    def large(seed: int) -> dict[str, bytes]:
        return {"weights.bin": noise(LARGE, seed)}

    native = "cp311-cp311-manylinux_2_28_x86_64"
    return {
        filename("torch", "2.9.1", native): wheel_bytes(
            "torch",
            "2.9.1",
            {"torch/__init__.py": b"", **large(1)},
            tag=native,
            requires=["nvidia-cublas-cu12==12.8.4.1"],
        ),
        filename("nvidia-cublas-cu12", "12.8.4.1"): wheel_bytes(
            "nvidia-cublas-cu12", "12.8.4.1", {"nvidia/c.so": noise(7 * LARGE, 2)}
        ),
        filename("transformers", "5.0"): wheel_bytes(
            "transformers", "5.0", {"transformers/__init__.py": b""}, requires=["torch"]
        ),
        filename("gunicorn", "23.0"): wheel_bytes("gunicorn", "23.0"),
        filename("packaging", "25.0"): wheel_bytes("packaging", "25.0"),
    }


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    with in_this_process(monkeypatch, capfd):
        yield


@pytest.fixture
def index() -> Iterator[PackageIndex]:
    with serve(PackageIndex(wheels(), metadata=True)) as running:
        yield running


def project(folder: Path, index: PackageIndex, more: str = "") -> Path:
    write_project(
        folder,
        f"name: large\npython: '3.11'\nbase: {{from: scratch, interpreter: /usr/bin/python3.11}}\n"
        f"dependencies: {{requirements: [torch, transformers], index-url: '{index.url}'}}\n"
        f"models: [{{path: model.bin, name: large}}]\nentry: score.py\n{more}",
    )
    (folder / "score.py").write_text("import torch\nimport transformers\n\n\n" + SCRIPT)
    (folder / "model.bin").write_bytes(noise(1 << 20, 3))
    return folder


def test_no_package_is_fetched_for_a_lock_and_it_gives_the_image_of_a_build(
    tmp_path: Path, index: PackageIndex
) -> None:
    place = project(tmp_path / "project", index)
    crate = Crate.at(tmp_path / "home")
    said = crate("lock", place).succeeded()
    assert index.fetched() == []
    assert index.sent < LIMIT < sum(map(len, wheels().values()))
    assert "nvidia-cublas-cu12 117." in said.err
    assert "torch: cpu" in said.err
    assert not list((tmp_path / "home").rglob("*.whl"))
    locked = json.loads((place / "modelcrate.lock").read_bytes())
    assert {each["name"]: each["size"] for each in locked["platforms"]["linux/amd64"]["wheels"]} == {
        "-".join(name.split("-")[0].split("_")): len(data) for name, data in wheels().items() if "packaging" not in name
    }
    assert len(locked["models"][0]["layers"]) == 1
    layout = tmp_path / "layout"
    built = crate("build", place, "--locked", "-o", f"oci:{layout}:1", "--json").succeeded().json
    assert sorted(set(index.fetched())) == sorted(name for name in wheels() if "packaging" not in name)
    assert_valid_layout(layout)
    (place / "modelcrate.lock").unlink()
    other = Crate.at(tmp_path / "other")
    assert other("build", place, "--json").succeeded().json["digest"] == built["digest"]


def test_a_changed_model_does_not_pass_for_the_locked_one(tmp_path: Path, index: PackageIndex) -> None:
    place = project(tmp_path / "project", index)
    crate = Crate.at(tmp_path / "home")
    crate("lock", place).succeeded()
    (place / "model.bin").write_bytes(noise(1 << 20, 4))
    crate("build", place, "--locked").failed(7, "a file has other bytes than when it was locked")


def test_a_lock_of_an_earlier_version_is_read(tmp_path: Path, index: PackageIndex) -> None:
    """It had the codecs of the layers that it had made, and not those that there may be."""
    place = project(tmp_path / "project", index)
    crate = Crate.at(tmp_path / "home")
    crate("lock", place).succeeded()
    path = place / "modelcrate.lock"
    path.write_bytes(json.dumps({**json.loads(path.read_bytes()), "codecs": ["none"]}).encode())
    assert crate("build", place, "--locked", "--json").succeeded().json["digest"]


def test_sizes_are_told_by_servers_whose_index_tells_none(tmp_path: Path) -> None:
    """By HEAD; and where the server refuses that, by the first byte of a file."""
    for number, head in enumerate((True, False)):
        with serve(PackageIndex(wheels(), metadata=True, json=False, head=head)) as index:
            place = project(tmp_path / str(number), index)
            Crate.at(tmp_path / f"home{number}")("lock", place).succeeded()
            assert index.fetched() == []
            assert index.sent < LIMIT
        pins = json.loads((place / "modelcrate.lock").read_bytes())["platforms"]["linux/amd64"]["wheels"]
        assert all(each["size"] == len(wheels()[each["filename"]]) for each in pins)


def test_a_plan_tells_the_size_of_every_layer_and_fetches_nothing(tmp_path: Path, index: PackageIndex) -> None:
    place = project(tmp_path / "project", index)
    crate = Crate.at(tmp_path / "home")
    shown = crate("plan", place, "--json").succeeded().json
    layers = {each["name"]: each for each in shown["platforms"][0]["layers"]}
    assert layers["nvidia-cublas-cu12 12.8.4.1"]["size_estimate"] == len(
        wheels()[filename("nvidia-cublas-cu12", "12.8.4.1")]
    )
    assert layers["large:1"]["size"] > 1 << 20
    assert all("size" in each or "size_estimate" in each for each in layers.values())
    text = crate("plan", place).succeeded()
    assert "?" not in text.out
    assert "about 117." in text.out
    assert index.fetched() == []


def test_a_limit_ends_a_build_before_anything_is_fetched(tmp_path: Path, index: PackageIndex) -> None:
    place = project(tmp_path / "project", index)
    crate = Crate.at(tmp_path / "home")
    for verb in ("plan", "build"):
        crate(verb, place, "--max-size", "100MB").failed(
            8, "may have 100.0 MB", "nvidia-cublas-cu12 12.8.4.1: 117.", "torch: cpu"
        )
    assert index.fetched() == []
    project(place, index, "max-size: 100MB\n")
    for verb in ("plan", "build", "lock", "check"):
        crate(verb, place).failed(8, "may have 100.0 MB")
    assert index.fetched() == []
    assert not (place / "modelcrate.lock").exists()
    crate("build", place, "--max-size", "1GB").succeeded()


def test_a_limit_holds_for_what_is_known_only_when_it_is_made(tmp_path: Path) -> None:
    """Files that compress count when they are compressed: the estimate lets them pass, and the image is refused all the same."""
    place = write_project(
        tmp_path / "text", "name: text\nbase: scratch\nmodels: [{path: model.txt, name: text}]\ncodec: zstd\n"
    )
    (place / "model.txt").write_bytes(noise(1 << 20, 5).hex().encode())
    crate = Crate.at(tmp_path / "home")
    layout = tmp_path / "layout"
    crate("build", place, "--max-size", "1MB", "-o", f"oci:{layout}:1").failed(8, "the image has 1.", "model text:1")
    assert not (layout / "index.json").exists()
    crate("build", place, "--max-size", "1.5MB", "-o", f"oci:{layout}:1").succeeded()
    assert_valid_layout(layout)


@pytest.mark.parametrize("word", ["2 apples", "-1", "0", "GB", "1e9"])
def test_what_is_no_size_is_refused(tmp_path: Path, word: str) -> None:
    place = write_project(tmp_path / "text", "name: text\nbase: scratch\nmodels: [{path: model.txt, name: text}]\n")
    (place / "model.txt").write_bytes(b"x")
    Crate.at(tmp_path / "home")("build", place, f"--max-size={word}").failed(2, "not a size")
