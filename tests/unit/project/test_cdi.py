"""CDI files: what devices bring, by the specification's own words, and files that do not follow it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modelcrate.containers.devices import DeviceNode, Hook
from modelcrate.containers.options import Volume
from modelcrate.project.cdi import find_devices, gpu_names, read_cdi
from modelcrate_layers.errors import UserError

NVIDIA = """
cdiVersion: 0.5.0
kind: nvidia.com/gpu
devices:
  - name: "0"
    containerEdits: {deviceNodes: [{path: /dev/nvidia0}]}
  - name: "1"
    containerEdits: {deviceNodes: [{path: /dev/nvidia1, hostPath: /dev/card1, permissions: rw}]}
  - name: all
    containerEdits: {deviceNodes: [{path: /dev/nvidia0}, {path: /dev/nvidia1}]}
containerEdits:
  env: [NVIDIA_VISIBLE_DEVICES=void]
  deviceNodes: [{path: /dev/nvidiactl}]
  mounts: [{hostPath: /usr/lib/libcuda.so.550, containerPath: /usr/lib/libcuda.so.550, options: [ro, nosuid, bind]}]
  hooks: [{hookName: createContainer, path: /usr/bin/nvidia-cdi-hook, args: [nvidia-cdi-hook, update-ldcache], timeout: 5}]
  additionalGids: [44]
"""


@pytest.fixture
def folders(tmp_path: Path) -> str:
    for name in ("etc", "run"):
        (tmp_path / name).mkdir()
    (tmp_path / "etc/nvidia.yaml").write_text(NVIDIA)
    return f"{tmp_path}/etc:{tmp_path}/run:{tmp_path}/none"


def test_what_two_devices_bring_stands_once(folders: str) -> None:
    found = find_devices(["nvidia.com/gpu=0", "nvidia.com/gpu=1"], folders)
    shared = DeviceNode("/dev/nvidiactl", "/dev/nvidiactl")
    second = DeviceNode("/dev/card1", "/dev/nvidia1", "rw")
    assert found.devices.nodes == (shared, DeviceNode("/dev/nvidia0", "/dev/nvidia0"), second)
    args = ("nvidia-cdi-hook", "update-ldcache")
    assert found.devices.hooks == (Hook("createContainer", "/usr/bin/nvidia-cdi-hook", args, (), 5),)
    assert found.devices.groups == (44,)
    assert found.volumes == (Volume(Path("/usr/lib/libcuda.so.550"), "/usr/lib/libcuda.so.550", True),)
    assert found.env == {"NVIDIA_VISIBLE_DEVICES": "void"}
    assert find_devices([], folders).devices.nodes == ()


def test_the_later_folder_wins_and_one_folder_may_not_disagree(folders: str, tmp_path: Path) -> None:
    other = {
        "cdiVersion": "1.0.0",
        "kind": "nvidia.com/gpu",
        "devices": [{"name": "0", "containerEdits": {"env": ["A=1"]}}],
    }
    (tmp_path / "run/other.json").write_text(json.dumps(other))
    (tmp_path / "run/read.me").write_text("{")
    assert find_devices(["nvidia.com/gpu=0"], folders).env == {"A": "1"}
    (tmp_path / "run/twice.json").write_text(json.dumps(other))
    with pytest.raises(UserError, match=r"two files describe the device nvidia\.com/gpu=0"):
        find_devices(["nvidia.com/gpu=all"], folders)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nvidia.com/gpu=7", "nvidia-ctk cdi generate"),
        ("acme.com/npu=0", "here are: nvidia.com/gpu=0"),
        ("/dev/nvidia0", "not the name of a device"),
        ("nvidia.com/gpu", "not the name of a device"),
        ("../etc=0", "not the name of a device"),
    ],
)
def test_a_device_that_there_is_not(folders: str, name: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        find_devices([name], folders)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "names"),
    [("all", ["all"]), ("2", ["0", "1"]), ("device=1", ["1"]), ('"device=0,GPU-1f:2"', ["0", "GPU-1f:2"])],
)
def test_gpus_as_docker_reads_them(text: str, names: list[str]) -> None:
    assert gpu_names(text) == tuple(f"nvidia.com/gpu={name}" for name in names)


@pytest.mark.parametrize("text", ["", "0", "-1", "device=", "device=a/b", "none", "9" * 5000])
def test_no_gpus(text: str) -> None:
    with pytest.raises(UserError, match="not a number of GPUs"):
        gpu_names(text)


GOOD: dict[str, Any] = {"cdiVersion": "0.6.0", "kind": "a.b/c", "devices": [{"name": "x", "containerEdits": {}}]}


def edited(**edits: Any) -> dict[str, Any]:
    return GOOD | {"containerEdits": edits}


@pytest.mark.parametrize(
    "document",
    [
        [],
        None,
        GOOD | {"cdiVersion": "0.2.0"},
        GOOD | {"cdiVersion": None},
        GOOD | {"kind": "gpu"},
        GOOD | {"kind": "../a/b"},
        GOOD | {"devices": {}},
        GOOD | {"devices": [1]},
        GOOD | {"devices": [{"name": "a b"}]},
        GOOD | {"devices": [{"name": "x"}, {"name": "x"}]},
        edited(env=["A"]),
        edited(env="A=1"),
        edited(env=[1]),
        edited(deviceNodes=[{"path": "dev/x"}]),
        edited(deviceNodes=[{"path": "/etc/passwd"}]),
        edited(deviceNodes=[{"path": "/dev"}]),
        edited(deviceNodes=[{"path": "/dev/../etc/x"}]),
        edited(deviceNodes=[{"path": "/dev/x", "permissions": "rwx"}]),
        edited(mounts=[{"hostPath": "/a"}]),
        edited(mounts=[{"hostPath": "/a", "containerPath": "/b", "type": "tmpfs"}]),
        edited(mounts=[{"hostPath": "/a", "containerPath": "/proc/b"}]),
        edited(hooks=[{"hookName": "sometime", "path": "/x"}]),
        edited(hooks=[{"hookName": "prestart", "path": "x"}]),
        edited(hooks=[{"hookName": "prestart", "path": "/x", "timeout": -1}]),
        edited(additionalGids=[-1]),
        edited(additionalGids=[True]),
    ],
)
def test_a_file_that_does_not_follow_the_specification_is_named(document: Any) -> None:
    assert read_cdi(json.dumps(GOOD).encode(), "good").devices.keys() == {"x"}
    with pytest.raises(UserError):
        read_cdi(json.dumps(document).encode(), "/etc/cdi/bad.json")


@pytest.mark.parametrize("data", [b"{", b"\xff", b"a: [", b"[" * 100_000, b"x" * (2 << 20)])
def test_a_file_that_is_none(data: bytes) -> None:
    with pytest.raises(UserError):
        read_cdi(data, "/etc/cdi/bad.yaml")
