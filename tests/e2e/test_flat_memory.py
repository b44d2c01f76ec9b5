"""Large models: packaged and sent with flat memory, and without a copy on our disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import real_registry
from support.real_registry import Running
from support.shared_command import Modelcrate

pytestmark = pytest.mark.slow

MEMORY = 150_000_000
DISK = 10_000_000
HUGE = 2 << 30
LARGE = 512 << 20

MEASURE = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
print(json.dumps({"peak": peak, "code": done.returncode, "said": done.stdout.decode()}))
"""
"""A small process in between: the peak of a child counts the memory of the process that it was forked from."""


def measured(modelcrate: Modelcrate, *words: str | Path) -> tuple[int, Any]:
    """Peak resident bytes of the command and all that it starts, and its result."""
    told = subprocess.run(
        [sys.executable, "-S", "-c", MEASURE, *modelcrate.words(*words, "--json", "--progress", "none")],
        capture_output=True, text=True, env=modelcrate.environment, cwd="/",
    )  # fmt: skip
    facts = json.loads(told.stdout)
    assert facts["code"] == 0, told.stderr
    return int(facts["peak"]), json.loads(facts["said"])


def used(folder: Path) -> int:
    """What a folder takes on the disk, in bytes."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


def project(folder: Path, codec: str) -> Path:
    folder.mkdir()
    (folder / "modelcrate.yaml").write_text(f"name: large\nbase: scratch\ncodec: {codec}\nmodels: [model.bin]\n")
    return folder


@pytest.fixture
def sparse(tmp_path: Path) -> Path:
    """A model of 2 GiB that takes no room, forced to be stored as it is."""
    folder = project(tmp_path / "sparse", "none")
    with (folder / "model.bin").open("wb") as file:
        file.truncate(HUGE)
    return folder


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A model of 512 MiB that no codec makes smaller. Builds read it only."""
    folder = project(tmp_path_factory.mktemp("noise") / "noise", "auto")
    with (folder / "model.bin").open("wb") as file:
        for _ in range(LARGE >> 24):
            file.write(os.urandom(1 << 24))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def roomy(tmp_path: Path) -> Iterator[Path]:
    """A folder for the target's own copy: in memory if there is room, so that the disk's speed doesn't matter."""
    memory = Path("/dev/shm")
    fits = memory.is_dir() and shutil.disk_usage(memory).free > HUGE * 3
    folder = (memory if fits else tmp_path) / f"modelcrate-test-{os.getpid()}"
    if shutil.disk_usage(folder.parent).free < HUGE * 1.5:
        pytest.skip("no room for a target of 2 GiB")
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def registry(roomy: Path) -> Iterator[Running]:
    if reason := real_registry.missing():
        pytest.skip(reason)
    with real_registry.running(roomy) as server:
        yield server


@pytest.fixture
def own(tmp_path: Path) -> Modelcrate:
    (tmp_path / "home").mkdir()
    return Modelcrate(tmp_path / "home")


@pytest.mark.interop
def test_a_model_of_2_gib_is_pushed_in_little_memory(sparse: Path, own: Modelcrate, registry: Running) -> None:
    name = f"{registry.host}/large:1"
    peak, receipt = measured(own, "build", sparse, "--push", name)
    assert receipt["layers"][0]["size"] > HUGE
    assert receipt["outputs"][0]["bytes_sent"] > HUGE
    assert peak < MEMORY
    assert used(own.home) < DISK
    again, receipt = measured(own, "build", sparse, "--push", name)
    assert receipt["outputs"][0]["bytes_sent"] == 0
    assert receipt["layers"][0]["origin"] == "known"
    assert again < MEMORY


@pytest.mark.interop
def test_a_model_of_random_bytes_is_pushed_in_little_memory(noise: Path, own: Modelcrate, registry: Running) -> None:
    peak, receipt = measured(own, "build", noise, "--push", f"{registry.host}/large:1")
    assert receipt["layers"][0]["codec"].startswith("none")  # by the look of its bytes
    assert LARGE < receipt["outputs"][0]["bytes_sent"] < LARGE + 100_000
    assert peak < MEMORY
    assert used(own.home) < DISK


@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_a_model_of_random_bytes_is_archived_in_little_memory(
    noise: Path, own: Modelcrate, roomy: Path, kind: str
) -> None:
    peak, _ = measured(own, "build", noise, "-o", f"{kind}:{roomy}/image.tar")
    assert (roomy / "image.tar").stat().st_size < LARGE + 100_000
    assert peak < MEMORY
    assert used(own.home) < DISK


def test_the_local_store_takes_one_copy_and_little_memory(noise: Path, own: Modelcrate) -> None:
    peak, _ = measured(own, "build", noise)
    assert peak < MEMORY
    assert LARGE <= used(own.home) < LARGE + DISK
