"""Moves workspaces out of the cache, where version 0.1 kept them, into the user's data. Each is moved once, and it is said.

A link is left in the old place, so processes that know it go on. A move may be interrupted at any point: a workspace is complete in one of
both places at every moment, and the next command goes on with the move. Processes move one after the other.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from modelcrate.config import Config
from modelcrate.events import Emit, Notice
from modelcrate.home.home_lock import exclusive_home_lock
from modelcrate_layers import host
from modelcrate_layers.atomic import file_lock, write_file
from modelcrate_layers.errors import MachineError
from modelcrate_layers.store import as_machine_error

_LOCK = ".lock"
_COPIED = ".copied"
"""In an old workspace: a copy of it is complete, or was about to get its name."""

_INCOMING, _GONE = ".incoming-", ".gone-"


def named_workspace(name: str, config: Config, emit: Emit) -> Path:
    """Returns the folder of the workspace with this name, after all workspaces were moved that are still in the cache.

    Args:
        name: A name that can be that of a folder.
        config: The configuration, which has both places.
        emit: Gets a notice for each workspace that was moved, or that is in both places.
    """
    move_workspaces(config, emit)
    old, new = config.old_workspaces / name, config.workspaces / name
    return old if _is_real(old) and not os.path.lexists(new) else new  # it could not be moved, because it is in use


def current_place(folder: Path, config: Config, emit: Emit) -> Path:
    """Returns where a workspace is now that an address names: it may be an address from before the move."""
    return named_workspace(folder.name, config, emit) if folder.parent == config.old_workspaces else folder


def move_workspaces(config: Config, emit: Emit) -> None:
    """Moves all workspaces that are still in the cache.

    Raises:
        MachineError: The new place can't be written.
    """
    old, new = config.old_workspaces, config.workspaces
    if old == new or not any(map(_is_real, _inside(old))):
        return
    with as_machine_error(new):
        new.mkdir(parents=True, exist_ok=True)
        with file_lock(new / _LOCK):
            for each in _inside(old):
                if each.name.startswith(_GONE):  # a move was interrupted at its end
                    shutil.rmtree(each, ignore_errors=True)
                elif _is_real(each):
                    _move(each, new / each.name, config, emit)


def _move(old: Path, new: Path, config: Config, emit: Emit) -> None:
    if not os.path.lexists(new) and not _bring(old, new, config):
        return
    if not _is_real(old):  # it was renamed
        old.symlink_to(new)
    elif (old / _COPIED).exists():
        gone = old.with_name(_GONE + old.name)
        shutil.rmtree(gone, ignore_errors=True)
        old.rename(gone)
        old.symlink_to(new)
        shutil.rmtree(gone, ignore_errors=True)
    else:
        emit(
            Notice(f"two workspaces are called {old.name}: {new} is used; {old} is left as it is, rename it to use it")
        )
        return
    (new / _COPIED).unlink(missing_ok=True)
    emit(Notice(f"the workspace {old.name} was moved from the cache to {new}; a link is left at {old}"))


def _bring(old: Path, new: Path, config: Config) -> bool:
    """Brings a workspace to its new place, by its name or as a copy, and returns whether it is there."""
    try:
        old.rename(new)
    except OSError as fault:
        if fault.errno != errno.EXDEV:
            raise
        return _copy(old, new, config)
    return True


def _copy(old: Path, new: Path, config: Config) -> bool:
    """Copies a workspace to another file system; not while a build or a registration may write into it."""
    try:
        with exclusive_home_lock(config.home):
            beside = new.with_name(_INCOMING + new.name)
            shutil.rmtree(beside, ignore_errors=True)
            shutil.copytree(old, beside, symlinks=True)
            for folder, _, names in os.walk(beside):
                for name in names:
                    _sync(Path(folder, name))  # a workspace has no links
                _sync(Path(folder))
            write_file(old / _COPIED, b"")
            beside.rename(new)
            _sync(new.parent)
    except MachineError:  # the home is in use: the next command moves it
        return False
    return True


def _sync(path: Path) -> None:
    handle = host.open_unfollowed(path)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _inside(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _is_real(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
