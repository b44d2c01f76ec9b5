"""The bundle of an OCI runtime (OCI runtime specification, config.md), and the engines that can be tried."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from modelcrate.containers.engine import candidates, engine
from modelcrate.containers.identity import Identity
from modelcrate.containers.options import ENGINES, RunOptions, Volume
from modelcrate.containers.process import Process
from modelcrate.containers.runc import OciRuntime, bundle_config, hybrid_cgroups
from modelcrate.containers.spec import SupervisorSpec
from modelcrate_layers.errors import MachineError, UserError


@pytest.fixture
def spec(tmp_path: Path) -> SupervisorSpec:
    process = Process(("serve",), ("A=1",), "/srv", "7:8", 15)
    volumes = (Volume(tmp_path, "/data"), Volume(tmp_path, "/model", True))
    options = RunOptions("it", tmp_path.parent, volumes=volumes)
    return SupervisorSpec(options, tmp_path, process, Identity(7, 8), ("runc",), {}, rootless=False)


def test_a_user_has_no_capabilities_and_root_has_few(spec: SupervisorSpec) -> None:
    held = bundle_config(spec)["process"]
    assert held["user"] == {"uid": 7, "gid": 8, "umask": 0o022}
    assert held["noNewPrivileges"] is True
    assert held["capabilities"]["effective"] == held["capabilities"]["permitted"] == []
    root = bundle_config(replace(spec, identity=Identity(0, 0)))["process"]["capabilities"]
    assert root["effective"] == root["permitted"] == root["bounding"] == held["capabilities"]["bounding"]
    assert not {"CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_SYS_PTRACE", "CAP_SYS_MODULE"} & set(root["bounding"])


def test_mounts_can_not_gain_rights_and_a_read_only_root_gets_a_tmp(spec: SupervisorSpec) -> None:
    mounts = {each["destination"]: each["options"] for each in bundle_config(spec)["mounts"]}
    assert "rro" in mounts["/model"]
    assert "rw" in mounts["/data"]
    assert all("nosuid" in options for options in mounts.values())
    assert "/tmp" not in mounts
    made = bundle_config(replace(spec, options=replace(spec.options, read_only=True)))
    assert made["root"]["readonly"] is True
    assert "/tmp" in {each["destination"] for each in made["mounts"]}


def test_the_network_is_the_supervisors_and_calls_are_filtered(spec: SupervisorSpec) -> None:
    linux = bundle_config(spec)["linux"]
    assert {each["type"] for each in linux["namespaces"]} == {"pid", "ipc", "uts", "mount"}
    assert linux["seccomp"]["syscalls"]
    assert "/proc/kcore" in linux["maskedPaths"]


def program(folder: Path, text: str) -> dict[str, str]:
    path = folder / "runtime-program"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return {"runc": str(path)}


def test_what_a_runtime_logged_is_the_reason(spec: SupervisorSpec, tmp_path: Path) -> None:
    log = '{"level":"error","msg":"first"}\n{"level":"error","msg":"the reason"}\n{"level":"info","msg":"x"}\n'
    (tmp_path / "runtime.log").write_text(log)
    failing = replace(spec, programs=program(tmp_path, "exit 1"))
    with pytest.raises(MachineError, match="the reason"):
        OciRuntime("runc")._run(failing, "create")
    (tmp_path / "runtime.log").write_text(
        '{"level":"error","msg":"exec: \\"serve\\": executable file not found: no such"}'
    )
    with pytest.raises(UserError, match="can't start 'serve' of the image"):
        OciRuntime("runc")._run(failing, "create")
    (tmp_path / "runtime.log").write_text("{damaged")
    with pytest.raises(MachineError, match="runc create ended with 1"):
        OciRuntime("runc")._run(failing, "create")


def test_a_runtime_is_given_its_own_folder_and_an_id(spec: SupervisorSpec, tmp_path: Path) -> None:
    known = replace(spec, programs=program(tmp_path, f'echo "$@" > {tmp_path}/words'))
    OciRuntime("runc").clear(known)
    words = (tmp_path / "words").read_text().split()
    assert words[:2] == ["--root", str(tmp_path / "runtime")]
    assert words[-3:-1] == ["delete", "--force"]
    assert words[-1].startswith("modelcrate-")
    assert OciRuntime("runc").unusable(known) == ""
    assert OciRuntime("crun").unusable(known) == "it is not installed"


def test_hybrid_cgroups_are_seen(tmp_path: Path) -> None:
    assert not hybrid_cgroups(tmp_path)
    (tmp_path / "unified").mkdir()
    assert hybrid_cgroups(tmp_path)


def test_chroot_is_never_chosen_by_itself() -> None:
    chosen, _ = candidates("auto")
    assert "chroot" not in chosen
    assert "namespaces" in chosen
    assert candidates("namespaces")[0] == ("namespaces",)
    assert {type(engine(name)).__name__ for name in ENGINES} == {"OciRuntime", "Namespaces", "Chroot"}
    if os.geteuid() != 0:
        with pytest.raises(MachineError, match="it needs root"):
            candidates("chroot")
