"""What is known of containers on disk: written and read back, damaged, ended, and removed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelcrate.containers.container import Container, containers, discard, find, locked
from modelcrate.containers.devices import DeviceNode, Devices, Hook
from modelcrate.containers.identity import Identity
from modelcrate.containers.limits import Limits, Restart
from modelcrate.containers.options import Port, RunOptions, Volume
from modelcrate.containers.process import Process
from modelcrate.containers.processes import ProcessId
from modelcrate.containers.ready import NotReadyError, wait_ready
from modelcrate.containers.spec import SupervisorSpec
from modelcrate.containers.state import ContainerState, clear_running
from modelcrate_layers.errors import MachineError, UserError

GONE = ProcessId(4194304, "never")
"""A process that does not run: pids end before."""

PROCESS = Process(("serve", "--fast"), ("A=1",), "/srv", "server", 15)


def spec(folder: Path) -> SupervisorSpec:
    options = RunOptions(
        "it", folder.parent, ports=(Port(80, 5001),), env={"A": "1"}, command=("serve", "--fast"), volumes=(Volume(folder, "/data", True),),
        limits=Limits(1 << 30, 1.5), restart=Restart("on-failure", 3), read_only=True, labels={"l": "v"}, trees=folder / "trees",
        devices=Devices((DeviceNode("/dev/x", "/dev/y"),), (Hook("prestart", "/h", ("a",), ("B=1",), 5),), (7,)),
    )  # fmt: skip
    identity = Identity(7, 8, "/home/it")
    return SupervisorSpec(options, folder, PROCESS, identity, ("namespaces",), {"runc": "/bin/runc"}, True, ("a note",))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a container that has ended with code 3."""
    folder = tmp_path / "containers" / "it"
    folder.mkdir(parents=True)
    ContainerState("ended", GONE, 15, exit_code=3, ports=(Port(80, 5001),), notes=("x",)).save(folder)
    (folder / "log").write_bytes(b"one\ntwo\n")
    return folder


def test_a_description_is_read_back_as_it_was(folder: Path) -> None:
    spec(folder).save()
    assert SupervisorSpec.load(folder) == spec(folder)
    assert spec(folder).rootfs == folder / "rootfs"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"process": 1}'])
def test_a_damaged_description_is_named(folder: Path, text: str) -> None:
    (folder / "spec.json").write_text(text)
    with pytest.raises(MachineError, match="can't be read"):
        Container(folder).spec()


def test_a_state_is_read_back_as_it_was(folder: Path) -> None:
    state = ContainerState("running", ProcessId.own(), 2, True, GONE, "runc", "own", (Port(1, 2),), ("n",), None, 1.5)
    state.save(folder)
    assert ContainerState.load(folder) == state
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"status": "ended"}', '{"status": "strange", "stop_signal": 1}'])
def test_a_damaged_state_is_made_anew(folder: Path, text: str) -> None:
    (folder / "state.json").write_text(text)
    spec(folder).save()
    state = ContainerState.load(folder)
    assert (state.status, state.exit_code, state.ports) == ("ended", None, (Port(80, 5001),))
    assert "can't be read" in state.notes[0]


def test_a_container_that_has_ended(folder: Path) -> None:
    container = find(folder.parent, "it")
    assert (container.name, container.state().status) == ("it", "ended")
    assert container.wait(0) == 3
    assert container.stop(0) == 3
    assert not container.signal(15)
    assert b"".join(container.logs()) == b"one\ntwo\n"
    assert container.log_offset(tail=1) == 4
    assert container.log_offset() == 0
    container.remove()
    assert list(folder.parent.iterdir()) == []
    container.remove()


def test_a_crash_is_cleared_away(folder: Path) -> None:
    ContainerState("running", GONE, 15, main=GONE).save(folder)
    spec(folder).save()
    for name in ("rootfs", "bundle"):
        (folder / name).mkdir()
    container = Container(folder)
    assert container.state().status == "ended"
    with pytest.raises(MachineError, match="its supervisor was killed"):
        container.wait(0)
    assert container.stop(0) is None
    held = json.loads((folder / "state.json").read_text())
    assert (held["status"], held["exit_code"]) == ("ended", None)
    assert not (folder / "rootfs").exists()
    assert not (folder / "bundle").exists()


def test_one_whose_program_runs_on_without_its_supervisor(folder: Path) -> None:
    ContainerState("running", GONE, 15, main=ProcessId.own()).save(folder)
    assert Container(folder).state().status == "orphaned"
    with pytest.raises(UserError, match="the container it runs"):
        Container(folder).remove()


def test_one_that_is_being_unpacked_is_left_alone(folder: Path) -> None:
    ContainerState("starting", ProcessId.own(), 15).save(folder)
    for act in (Container(folder).stop, Container(folder).wait):
        with pytest.raises(UserError, match="still being unpacked"):
            act(0)


def test_what_only_a_running_container_needs_is_removed(folder: Path) -> None:
    for name in ("rootfs", "bundle", "runtime"):
        (folder / name).mkdir()
    clear_running(folder, keep=True)
    assert (folder / "rootfs").is_dir()
    assert not (folder / "bundle").exists()
    clear_running(folder, keep=False)
    assert not (folder / "rootfs").exists()


def test_containers_are_found_by_their_folders(folder: Path) -> None:
    (folder.parent / ".new-other-1-2").mkdir()
    (folder.parent / "a file").write_text("")
    assert containers(folder.parent) == (Container(folder),)
    assert containers(folder / "nothing") == ()
    with pytest.raises(UserError, match="there is no container 'other'"):
        find(folder.parent, "other")


def test_a_folder_that_has_gone(folder: Path) -> None:
    discard(folder)
    discard(folder)
    with pytest.raises(MachineError, match="no container any more"), locked(folder):
        raise AssertionError("it has gone")
    with pytest.raises(MachineError, match="no container any more"):
        Container(folder).state()


def test_an_end_before_an_answer_shows_the_log(folder: Path) -> None:
    with pytest.raises(MachineError, match=r"ended \(exit code 3\)") as caught:
        wait_ready(Container(folder), timeout=0)
    assert "two" in str(caught.value)


def test_one_that_does_not_answer_in_time(folder: Path) -> None:
    ContainerState("running", ProcessId.own(), 15, main=ProcessId.own(), ports=(Port(1, 5001),)).save(folder)
    with pytest.raises(NotReadyError, match="not ready after 0 seconds"):
        wait_ready(Container(folder), timeout=0)
    ContainerState("running", ProcessId.own(), 15, main=ProcessId.own()).save(folder)
    with pytest.raises(UserError, match="publishes no port"):
        wait_ready(Container(folder))
