"""A root folder made ready for every engine, and names that are claimed; the start itself is in tests/e2e."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from modelcrate.containers.container import Container
from modelcrate.containers.options import Port, RunOptions, Volume
from modelcrate.containers.process import Process
from modelcrate.containers.processes import ProcessId
from modelcrate.containers.starting import prepare, start, start_again
from modelcrate.containers.state import ContainerState
from modelcrate_layers.errors import IntegrityError, MachineError, UserError
from support.rootfs import layer, member

PROCESS = Process(("serve",), (), "/srv/work", "0", 15)


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    path = tmp_path / "rootfs"
    path.mkdir()
    return path


def test_what_engines_need_is_made(rootfs: Path, tmp_path: Path) -> None:
    identity, volumes, notes = prepare(rootfs, PROCESS, [Volume(tmp_path, "/data/deep")], read_only=True)
    assert (identity.uid, identity.gid, notes) == (0, 0, ())
    assert [each.container for each in volumes] == ["/data/deep"]
    for name in ("proc", "sys", "dev", "srv/work", "data/deep", "tmp"):
        assert (rootfs / name).is_dir()
    assert "127.0.0.1" in (rootfs / "etc/hosts").read_text()


def test_a_tmp_that_the_image_lacks_is_for_all_users(rootfs: Path) -> None:
    prepare(rootfs, PROCESS, (), read_only=False)
    assert (rootfs / "tmp").stat().st_mode & 0o7777 == 0o1777


def test_what_the_image_has_stays(rootfs: Path) -> None:
    (rootfs / "etc").mkdir()
    (rootfs / "etc/hosts").write_text("mine")
    (rootfs / "tmp").mkdir(mode=0o700)
    prepare(rootfs, PROCESS, (), read_only=False)
    assert (rootfs / "etc/hosts").read_text() == "mine"
    assert (rootfs / "tmp").stat().st_mode & 0o777 == 0o700


def test_a_link_where_an_engine_mounts_is_replaced_and_noted(rootfs: Path, tmp_path: Path) -> None:
    (rootfs / "dev").symlink_to(tmp_path)
    _, _, notes = prepare(rootfs, PROCESS, (), read_only=False)
    assert notes == ("/dev of the image was no folder; it was replaced by one",)
    assert (rootfs / "dev").is_dir()
    assert not (rootfs / "dev").is_symlink()


def test_a_volume_is_mounted_where_the_images_links_lead(rootfs: Path, tmp_path: Path) -> None:
    (rootfs / "opt").mkdir()
    (rootfs / "data").symlink_to("/opt")
    _, (volume,), _ = prepare(rootfs, PROCESS, [Volume(tmp_path, "/data/model")], read_only=False)
    assert volume.container == "/opt/model"
    assert (rootfs / "opt/model").is_dir()


def test_a_volume_or_working_folder_below_a_folder_of_the_engine(rootfs: Path, tmp_path: Path) -> None:
    (rootfs / "data").symlink_to("/proc")
    with pytest.raises(IntegrityError, match="leads to /proc/1, a folder that the engine makes"):
        prepare(rootfs, PROCESS, [Volume(tmp_path, "/data/1")], read_only=False)
    with pytest.raises(IntegrityError, match="WorkingDir"):
        prepare(rootfs, replace(PROCESS, cwd="/data/self/fd/7"), (), read_only=False)
    (rootfs / "file").write_text("")
    with pytest.raises(IntegrityError, match="WorkingDir can't be a folder"):
        prepare(rootfs, replace(PROCESS, cwd="/file/x"), (), read_only=False)


@pytest.mark.parametrize("name", ["proc", "sys", "dev"])
def test_a_volume_is_never_led_to_a_folder_of_the_engine_itself(rootfs: Path, tmp_path: Path, name: str) -> None:
    (rootfs / "data").symlink_to("/")
    with pytest.raises(IntegrityError, match=f"leads to /{name}, a folder that the engine makes"):
        prepare(rootfs, PROCESS, [Volume(tmp_path, f"/data/{name}")], read_only=False)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder of the machine to mount, with a folder, a file and a link in it."""
    folder = tmp_path / "machine"
    (folder / "below").mkdir(parents=True)
    (folder / "file").write_text("")
    (folder / "link").symlink_to("below")
    return folder


def test_two_volumes_in_one_place(rootfs: Path, machine: Path) -> None:
    (rootfs / "x").mkdir()
    (rootfs / "l").symlink_to("x")
    for other in (machine, machine / "file"):
        with pytest.raises(IntegrityError, match="/l/a and /x/a are the same place of the image"):
            prepare(rootfs, PROCESS, [Volume(machine, "/x/a"), Volume(other, "/l/a")], read_only=False)
    with pytest.raises(UserError, match="/x/c/b lies in /x/c, which is mounted too and has no such folder"):
        prepare(rootfs, PROCESS, [Volume(machine, "/x/c/b"), Volume(machine / "file", "/l/c")], read_only=False)


def test_a_volume_within_another(rootfs: Path, machine: Path) -> None:
    inner = [Volume(machine, "/v/below"), Volume(machine / "file", "/v/file")]
    _, found, _ = prepare(rootfs, PROCESS, [*inner, Volume(machine, "/v")], read_only=False)
    assert [each.container for each in found] == ["/v", "/v/below", "/v/file"]
    for name, host in (("none", machine), ("file", machine), ("below", machine / "file"), ("link", machine)):
        with pytest.raises(UserError, match="mounted too and has no such"):
            prepare(rootfs, PROCESS, [Volume(machine, "/v"), Volume(host, f"/v/{name}")], read_only=False)
    assert sorted(path.name for path in machine.iterdir()) == ["below", "file", "link"]


def test_a_working_folder_within_a_volume(rootfs: Path, machine: Path) -> None:
    for folder in ("/v", "/v/below"):
        prepare(rootfs, replace(PROCESS, cwd=folder), [Volume(machine, "/v")], read_only=False)
    for folder in ("/v/none", "/v/file", "/v/link"):
        with pytest.raises(UserError, match="is no folder of what is mounted on /v"):
            prepare(rootfs, replace(PROCESS, cwd=folder), [Volume(machine, "/v")], read_only=False)
    with pytest.raises(UserError, match="is no folder of what is mounted on /w"):
        prepare(rootfs, replace(PROCESS, cwd="/w"), [Volume(machine / "file", "/w")], read_only=False)


def test_a_volume_that_is_led_to_a_name_that_is_no_text(rootfs: Path, machine: Path) -> None:
    (rootfs / "l").symlink_to(b"a\xff".decode(errors="surrogateescape"))
    with pytest.raises(IntegrityError, match="a name that is not UTF-8"):
        prepare(rootfs, PROCESS, [Volume(machine, "/l/x")], read_only=False)


def test_a_file_in_the_place_of_a_folder_is_noted_as_such(rootfs: Path, machine: Path) -> None:
    (rootfs / "f").mkdir()
    _, _, notes = prepare(rootfs, PROCESS, [Volume(machine / "file", "/f")], read_only=False)
    assert notes == ("/f of the image was no file; it was replaced by an empty one",)


CONFIG = {"config": {"Cmd": ["serve"]}}


def options(tmp_path: Path, **more: object) -> RunOptions:
    return RunOptions("it", tmp_path / "containers", **more)  # type: ignore[arg-type]


def test_after_a_start_that_fails_nothing_is_left(tmp_path: Path) -> None:
    broken = layer(member("../outside", b"x"))
    with pytest.raises(IntegrityError):
        start(CONFIG, [broken], options(tmp_path))
    assert list((tmp_path / "containers").iterdir()) == []
    fine = layer(member("etc/passwd", b"root:x:0:0::/root:/bin/sh\n"))
    with pytest.raises(UserError, match="nobody-here"):
        start(CONFIG, [fine], options(tmp_path, user="nobody-here"))
    assert list((tmp_path / "containers").iterdir()) == []
    with pytest.raises(UserError, match="no folder or file to mount"):
        start(CONFIG, [fine], options(tmp_path, volumes=(Volume(tmp_path / "none", "/x"),)))


def test_a_name_that_runs_is_not_taken(tmp_path: Path) -> None:
    folder = tmp_path / "containers" / "it"
    folder.mkdir(parents=True)
    ContainerState("running", ProcessId.own(), 15, main=ProcessId.own()).save(folder)
    with pytest.raises(UserError, match="a container it runs already"):
        start(CONFIG, [], options(tmp_path))
    assert folder.is_dir()
    with pytest.raises(MachineError, match="can't be read"):
        start_again(Container(folder), [])


def test_leftovers_of_processes_that_have_gone_are_removed(tmp_path: Path) -> None:
    for name in (".new-4194304-1000000001", ".gone-4194304-1000000002"):
        (tmp_path / "containers" / name).mkdir(parents=True)
    with pytest.raises(UserError):
        start(CONFIG, [layer(member("etc/x", b""))], options(tmp_path, user="nobody-here", ports=(Port(0, 1),)))
    assert list((tmp_path / "containers").iterdir()) == []
