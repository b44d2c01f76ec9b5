"""The folder MODELCRATE_HOME: checks that it can be used, and opens the local store in it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from modelcrate.config import Config
from modelcrate_layers.errors import MachineError
from modelcrate_layers.store import Layout


def check_home(config: Config) -> None:
    """Checks that the home exists, or can be made, and can be written.

    Raises:
        MachineError: The home can't be used; the message names the variable to set.
    """
    home, owner = config.home, config.owner
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o777 if owner is None else 0o700)
        status = home.lstat()
    except OSError as fault:
        raise _unusable(home, f"can't be made: {fault.strerror}") from None
    if owner is not None and (status.st_uid != owner or stat.S_IMODE(status.st_mode) & 0o022):
        raise _unusable(home, "belongs to another user, or other users can write to it")
    if not os.access(home, os.W_OK | os.X_OK):
        raise _unusable(home, "can't be written: Permission denied")


def open_store(config: Config) -> Layout:
    """Opens the local store, and makes it where it does not exist yet.

    Raises:
        MachineError: The home can't be used.
    """
    check_home(config)
    return Layout.create(config.store, config.checked)


def _unusable(home: Path, what: str) -> MachineError:
    return MachineError(
        what,
        where=str(home),
        why="downloads, layers and images are kept there",
        hint="name another folder in MODELCRATE_HOME",
    )
