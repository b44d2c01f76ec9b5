"""Workspaces leave the cache: once, said, whole at every moment, and whoever knows the old place goes on."""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelcrate.config import Config
from modelcrate.events import Event, Notice, ignore_event
from modelcrate.home.home_lock import shared_home_lock
from modelcrate.pipeline.register_model import Registration, register
from modelcrate.transports.connections import Connections
from modelcrate.workspace import moving
from modelcrate.workspace.find import get_model, list_names
from modelcrate.workspace.folder import FolderBackend
from modelcrate.workspace.moving import move_workspaces, named_workspace
from modelcrate.workspace.opening import open_named, open_workspace

from .conftest import NOON


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config.of({"HOME": str(tmp_path)}, os.getuid())


@pytest.fixture
def old(config: Config, tmp_path: Path) -> Path:
    """A workspace where version 0.1 made it, with one model."""
    (tmp_path / "model.bin").write_bytes(b"weights")
    folder = config.home / "workspaces" / "team"
    register(FolderBackend(folder), Registration("iris", tmp_path / "model.bin"), config, NOON, ignore_event)
    return folder


@pytest.fixture
def another_file_system(monkeypatch: pytest.MonkeyPatch, config: Config) -> None:
    """The cache and the data are on different file systems: nothing is renamed from one to the other."""
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if config.home in self.parents and config.workspaces in Path(target).parents:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)


@pytest.mark.parametrize(
    ("variables", "home", "workspaces"),
    [
        ({"HOME": "/h"}, "/h/.cache/modelcrate", "/h/.local/share/modelcrate/workspaces"),
        ({"HOME": "/h", "XDG_DATA_HOME": "/d"}, "/h/.cache/modelcrate", "/d/modelcrate/workspaces"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "/c"}, "/c/modelcrate", "/h/.local/share/modelcrate/workspaces"),
        ({"HOME": "/h", "MODELCRATE_HOME": "/m", "XDG_DATA_HOME": "/d"}, "/m", "/m/workspaces"),
    ],
)
def test_where_workspaces_are(variables: dict[str, str], home: str, workspaces: str) -> None:
    config = Config.of(variables, 0)
    assert (str(config.home), str(config.workspaces)) == (home, workspaces)


def test_without_a_home_they_are_in_the_temporary_folder() -> None:
    config = Config.of({}, 7)
    assert config.workspaces == config.home / "workspaces"
    assert config.home.parent == Path(tempfile.gettempdir())


def test_a_workspace_is_moved_once_and_it_is_said(config: Config, old: Path) -> None:
    said: list[Event] = []
    backend = open_named("team", Connections(config, said.append))
    assert list_names(backend) == ["iris"]
    assert backend.address == f"folder:{config.workspaces / 'team'}"
    (notice,) = said
    assert isinstance(notice, Notice)
    assert notice.text == (
        f"the workspace team was moved from the cache to {config.workspaces / 'team'}; a link is left at {old}"
    )
    assert old.resolve() == config.workspaces / "team"
    said.clear()
    open_named("team", Connections(config, said.append))
    assert said == []


def test_all_workspaces_move_together_and_a_new_one_begins_in_the_new_place(config: Config, old: Path) -> None:
    shutil.copytree(old, old.with_name("default"))
    said: list[Event] = []
    new = named_workspace("other", config, said.append)
    assert (new, new.exists(), len(said)) == (config.workspaces / "other", False, 2)


def test_an_address_from_before_the_move_is_the_same_workspace(config: Config, old: Path) -> None:
    """As a config.json or a project file has it; also when the cache was removed meanwhile, with the link in it."""
    backend = open_workspace(f"folder:{old}", Connections(config))
    assert backend.address == f"folder:{config.workspaces / 'team'}"
    shutil.rmtree(config.home)
    assert list_names(open_workspace(f"folder:{old}", Connections(config))) == ["iris"]


def test_who_knows_the_old_place_goes_on(config: Config, old: Path, tmp_path: Path) -> None:
    before = FolderBackend(old)
    open_named("team", Connections(config))
    register(before, Registration("iris", tmp_path / "model.bin"), config, NOON, ignore_event)
    assert get_model(open_named("team", Connections(config)), "iris").version == 2


def test_of_two_workspaces_with_one_name_none_is_lost(config: Config, old: Path) -> None:
    config.workspaces.mkdir(parents=True)
    shutil.copytree(old, config.workspaces / "team")
    said: list[Event] = []
    assert named_workspace("team", config, said.append) == config.workspaces / "team"
    assert [each.text[:33] for each in said if isinstance(each, Notice)] == ["two workspaces are called team: /"]
    assert not old.is_symlink()
    assert list_names(FolderBackend(old)) == ["iris"]


@pytest.mark.usefixtures("another_file_system")
def test_another_file_system_gets_a_copy_and_then_the_old_one_is_removed(config: Config, old: Path) -> None:
    assert list_names(open_named("team", Connections(config))) == ["iris"]
    assert old.is_symlink()
    assert sorted(each.name for each in old.parent.iterdir()) == ["team"]
    assert sorted(each.name for each in config.workspaces.iterdir()) == [".lock", "team"]
    assert not (config.workspaces / "team" / ".copied").exists()


def test_really_another_file_system(old: Path, config: Config) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == old.stat().st_dev or not os.access(memory, os.W_OK):
        pytest.skip("there is no second file system")
    with tempfile.TemporaryDirectory(dir=memory) as data:
        assert list_names(open_named("team", Connections(replace(config, data_home=Path(data))))) == ["iris"]
        assert old.is_symlink()


@pytest.mark.usefixtures("another_file_system")
def test_no_copy_is_made_while_somebody_may_write(config: Config, old: Path) -> None:
    with shared_home_lock(config):
        assert named_workspace("team", config, ignore_event) == old
    assert named_workspace("team", config, ignore_event) == config.workspaces / "team"


class Killed(BaseException):
    """The process ends here."""


def steps(monkeypatch: pytest.MonkeyPatch, last: int) -> Callable[[], int]:
    """Lets `last` changes of the file system happen, and then no more; returns how many there were."""
    count = 0

    def limited(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count > last:
                raise Killed
            return real(*args, **options)

        return call

    for owner, name in (
        *((Path, each) for each in ("rename", "symlink_to", "unlink", "mkdir")),
        *((shutil, each) for each in ("copytree", "rmtree", "copyfile")),
        (moving, "write_file"),
    ):
        monkeypatch.setattr(owner, name, limited(getattr(owner, name)))
    return lambda: count


@pytest.fixture(params=["same file system", "another file system"])
def any_file_system(request: pytest.FixtureRequest) -> None:
    if request.param == "another file system":
        request.getfixturevalue("another_file_system")


@pytest.mark.usefixtures("any_file_system")
def test_it_is_whole_after_an_interruption_at_any_step(config: Config, old: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    shutil.copytree(config.home, kept)
    for last in range(40):
        with pytest.MonkeyPatch.context() as patch:
            done = steps(patch, last)
            with suppress(Killed):
                move_workspaces(config, ignore_event)
        finished = done() <= last
        for _ in range(2):  # what is there, and what is there after the next command
            assert list_names(FolderBackend(named_workspace("team", config, ignore_event))) == ["iris"]
        assert (config.workspaces / "team").is_dir()
        assert [each for each in old.parent.iterdir() if not each.is_symlink()] == []
        if finished:
            assert old.is_symlink()
            assert last >= 3
            return
        shutil.rmtree(config.home)
        shutil.rmtree(config.workspaces, ignore_errors=True)
        shutil.copytree(kept, config.home)
    raise AssertionError("it never ends")


def _open(config: Config, start: Any, answers: Any) -> None:
    start.wait()
    said: list[Event] = []
    backend = open_named("team", Connections(config, said.append))
    answers.put((list_names(backend), len(said)))


def test_many_processes_move_it_once(config: Config, old: Path) -> None:
    context = multiprocessing.get_context("fork")
    start, answers = context.Event(), context.Queue()
    processes = [context.Process(target=_open, args=(config, start, answers)) for _ in range(8)]
    for each in processes:
        each.start()
    start.set()
    found = [answers.get(timeout=600) for _ in processes]
    for each in processes:
        each.join()
    assert [names for names, _ in found] == [["iris"]] * 8
    assert sum(said for _, said in found) == 1
