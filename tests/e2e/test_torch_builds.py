"""`torch:` chooses the builds of PyTorch, by uv's backends, from PyTorch's own index; the rest comes from the usual one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import index as usual
from support.command import Crate
from support.index import PackageIndex
from support.pytorch_index import PyTorchIndex, serve
from support.small_projects import SCRIPT, write_project
from support.validator import assert_valid_layout
from support.wheels import filename, wheel_bytes

NATIVE = "cp311-cp311-manylinux_2_28_x86_64"


def torch(version: str, *requires: str) -> dict[str, bytes]:
    files = {"torch/__init__.py": f"__version__ = {version!r}\n".encode()}
    return {filename("torch", version, NATIVE): wheel_bytes("torch", version, files, tag=NATIVE, requires=requires)}


def others() -> dict[str, bytes]:
    made = {filename(name, "1.0"): wheel_bytes(name, "1.0") for name in ("gunicorn", "tiny-lib", "nvidia-nccl-cu12")}
    return {**made, **torch("2.9.1", "nvidia-nccl-cu12", "tiny-lib")}


@pytest.fixture
def pytorch(tmp_path: Path) -> Iterator[PyTorchIndex]:
    builds = {"cpu": torch("2.9.1+cpu", "tiny-lib"), "cu126": torch("2.9.1+cu126", "tiny-lib")}
    with serve(PyTorchIndex(builds), tmp_path) as running:
        yield running


@pytest.fixture
def index() -> Iterator[PackageIndex]:
    with usual.serve(PackageIndex(others(), metadata=True)) as running:
        yield running


def project(folder: Path, index: PackageIndex, build: str) -> Path:
    write_project(
        folder,
        "name: torchy\npython: '3.11'\nbase: {from: scratch, interpreter: /usr/bin/python3.11}\nentry: score.py\n"
        f"dependencies: {{requirements: requirements.txt, index-url: '{index.url}'{f', torch: {build}' if build else ''}}}\n",
    )
    (folder / "requirements.txt").write_text("torch\n")
    (folder / "score.py").write_text("import torch\n\n\n" + SCRIPT)
    return folder


def locked(place: Path) -> dict[str, Any]:
    lock = json.loads((place / "modelcrate.lock").read_bytes())
    return {each["name"]: each for each in lock["platforms"]["linux/amd64"]["wheels"]}


def test_the_cpu_build_is_locked_with_its_size_and_fetched_from_its_own_index(
    tmp_path: Path, pytorch: PyTorchIndex, index: PackageIndex
) -> None:
    place = project(tmp_path / "project", index, "cpu")
    crate = Crate.at(tmp_path / "home", **pytorch.environment)
    crate("lock", place).succeeded()
    wheel = filename("torch", "2.9.1+cpu", NATIVE)
    pins = locked(place)
    assert set(pins) == {"torch", "tiny-lib", "gunicorn"}
    assert (pins["torch"]["version"], pins["torch"]["filename"]) == ("2.9.1+cpu", wheel)
    assert pins["torch"]["size"] == len(pytorch.files["cpu"][wheel])
    assert f"GET /whl/cpu/{wheel}" not in pytorch.log
    layout = tmp_path / "layout"
    first = crate("build", place, "--locked", "-o", f"oci:{layout}:1", "--json").succeeded().json
    assert f"GET /whl/cpu/{wheel}" in pytorch.log
    assert not [line for line in pytorch.log if line.startswith("refused")], "only PyTorch's index is reached by https"
    assert_valid_layout(layout)
    shutil.rmtree(tmp_path / "home")  # another machine, with the lock alone
    again = crate("build", place, "--locked", "--json").succeeded().json
    assert again["digest"] == first["digest"]


def test_without_a_choice_the_builds_of_the_usual_index_are_taken(
    tmp_path: Path, pytorch: PyTorchIndex, index: PackageIndex
) -> None:
    place = project(tmp_path / "project", index, "")
    Crate.at(tmp_path / "home", **pytorch.environment)("lock", place).succeeded()
    assert locked(place)["torch"]["version"] == "2.9.1"
    assert "nvidia-nccl-cu12" in locked(place)
    assert pytorch.log == []


NO_CARD = pytest.mark.skipif(Path("/proc/driver/nvidia").exists(), reason="this machine has a graphics card")


@pytest.mark.parametrize(
    ("driver", "version"), [("560.35.05", "2.9.1+cu126"), pytest.param("", "2.9.1+cpu", marks=NO_CARD)]
)
def test_auto_follows_the_driver_of_the_machine_that_locks(
    tmp_path: Path, pytorch: PyTorchIndex, index: PackageIndex, driver: str, version: str
) -> None:
    place = project(tmp_path / "project", index, "auto")
    environment = {**pytorch.environment, **({"UV_CUDA_DRIVER_VERSION": driver} if driver else {})}
    done = Crate.at(tmp_path / "home", **environment)("lock", place).succeeded()
    assert locked(place)["torch"]["version"] == version
    assert "CUDA" not in done.err


def test_another_choice_makes_another_lock(tmp_path: Path, pytorch: PyTorchIndex, index: PackageIndex) -> None:
    place = project(tmp_path / "project", index, "cpu")
    crate = Crate.at(tmp_path / "home", **pytorch.environment)
    crate("lock", place).succeeded()
    project(place, index, "cu126")
    crate("build", place, "--locked").failed(7, "torch: was 'cpu', is 'cu126'")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("uv.lock", "version = 1\n"),
        ("poetry.lock", "package = []\n"),
        ("pylock.toml", "lock-version = '1.0'\ncreated-by = 'x'\npackages = []\n"),
    ],
)
def test_a_choice_beside_a_lock_is_refused(tmp_path: Path, index: PackageIndex, name: str, text: str) -> None:
    key = "pylock" if name.startswith("pylock") else "requirements"
    place = project(tmp_path / "project", index, "cpu")
    said = (place / "modelcrate.yaml").read_text().replace("requirements: requirements.txt", f"{key}: {name}")
    (place / "modelcrate.yaml").write_text(said)
    (place / name).write_text(text)
    Crate.at(tmp_path / "home")("lock", place).failed(2, name, "torch: cpu beside a lock", "whl/cpu")
