"""The demo for amd64 and arm64, built here without emulation; and where qemu is, arm64's Python and numpy started."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.demo import Built, build_places, copy_of_demo
from support.engines import short_folder
from support.real_registry import Running
from support.shared_command import Modelcrate
from support.tools import call, need, skopeo

pytestmark = [pytest.mark.network, pytest.mark.interop]

PLATFORMS = ["linux/amd64", "linux/arm64"]

SOLVE = """
import json, numpy, platform, ssl
print(json.dumps([platform.machine(), numpy.linalg.solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 2.0]).tolist()]))
"""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, modelcrate: Modelcrate) -> Built:
    folder = tmp_path_factory.mktemp("both")
    project = copy_of_demo(folder / "diabetes", platforms=f"[{', '.join(PLATFORMS)}]", codec="gzip")
    return build_places(project, folder, modelcrate, [f"oci:{folder}/oci:1"])


@pytest.fixture(scope="module")
def reference(both: Built, docker_registry: Running) -> str:
    """Where the index is in a real registry."""
    name = f"{docker_registry.host}/team/both:1"
    receipt = both.modelcrate.json("push", f"oci:{both.layout}:1", name)
    assert receipt["outputs"][0]["digest"] == both.digest
    return name


def test_the_layout_has_an_index_with_both(both: Built) -> None:
    assert [image["platform"] for image in both.receipt["images"]] == PLATFORMS
    members = both.document(both.digest)["manifests"]
    assert [(each["platform"]["os"], each["platform"]["architecture"]) for each in members] == [
        ("linux", "amd64"),
        ("linux", "arm64"),
    ]
    amd64, arm64 = (image["layers"] for image in both.receipt["images"])
    shared = {layer["digest"] for layer in amd64} & {layer["digest"] for layer in arm64}
    assert {layer["digest"] for layer in amd64 if layer["role"] in ("model", "entry")} <= shared


def test_skopeo_finds_both_in_the_registry(both: Built, reference: str) -> None:
    need("skopeo")
    index = json.loads(skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{reference}"))
    assert [each["digest"] for each in index["manifests"]] == [image["digest"] for image in both.receipt["images"]]
    for image in both.receipt["images"]:
        machine = image["platform"].partition("/")[2]
        seen = json.loads(skopeo("--override-arch", machine, "inspect", "--tls-verify=false", f"docker://{reference}"))
        assert seen["Architecture"] == machine
        assert seen["Layers"] == [layer["digest"] for layer in image["layers"]]


def test_skopeo_copies_the_whole_index(both: Built, reference: str, tmp_path: Path) -> None:
    need("skopeo")
    words = ("copy", "--all", "--preserve-digests", "--src-tls-verify=false")
    skopeo(*words, f"docker://{reference}", f"oci:{tmp_path}/oci:1")
    assert json.loads((tmp_path / "oci" / "index.json").read_text())["manifests"][0]["digest"] == both.digest


def test_run_takes_the_image_of_the_platform_that_is_asked_for(both: Built) -> None:
    mine = "linux/arm64" if os.uname().machine == "aarch64" else "linux/amd64"
    words = ("run", "--name", "machine", "--platform", mine, f"oci:{both.layout}:1")
    said = both.modelcrate.said(*words, "python", "-c", "import platform; print(platform.machine())")
    assert said.strip() == os.uname().machine


def test_run_takes_the_image_of_this_machine_by_itself(both: Built) -> None:
    said = both.modelcrate.said(
        "run", "--rm", f"oci:{both.layout}:1", "python", "-c", "import platform; print(platform.machine())"
    )
    assert said.strip() == os.uname().machine


@pytest.fixture
def arm64_root(both: Built) -> Iterator[Path]:
    """The root folder of the arm64 image, as GNU tar unpacks it."""
    need("tar", "chroot", "qemu-aarch64-static", root=True)
    with short_folder() as folder:
        for layer in both.receipt["images"][1]["layers"]:
            call("tar", "-x", "--keep-directory-symlink", "-C", folder, "-f", both.blob(layer["digest"]))
        yield folder


@pytest.mark.slow
def test_python_and_numpy_of_the_arm64_image_work(arm64_root: Path) -> None:
    """qemu is called by its name, so nothing of this machine has to be set up for foreign programs."""
    emulator = shutil.which("qemu-aarch64-static")
    assert emulator is not None
    shutil.copy(emulator, arm64_root / "qemu")
    words = ("chroot", arm64_root, "/qemu", "/opt/modelcrate/bin/python", "-c", SOLVE)
    assert json.loads(call(*words, environment={"LANG": "C.UTF-8"})) == ["aarch64", [1.0, 0.5]]
