"""Who works in MODELCRATE_HOME says so while it lasts: what they use is not pruned. A lock of the kernel's, which ends with its process."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelcrate.config import Config
from modelcrate.home.folder import check_home
from modelcrate_layers.errors import MachineError
from modelcrate_layers.store import as_machine_error

FILE = ".lease"


@contextmanager
def shared_home_lock(config: Config) -> Iterator[None]:
    """Any number of builds hold this at once; each waits for a prune that is under way. A home that can't be used is said first."""
    check_home(config)
    with _locked(config.home, fcntl.LOCK_SH):
        yield


@contextmanager
def exclusive_home_lock(home: Path, *, wait: bool = False) -> Iterator[None]:
    """Nobody else works there. While somebody does: a MachineError, or a wait for their end."""
    try:
        with _locked(home, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB):
            yield
    except BlockingIOError:
        raise MachineError(
            "is in use by a build", where=str(home), hint="try again when it has ended, or let prune --wait for it"
        ) from None


@contextmanager
def _locked(home: Path, how: int) -> Iterator[None]:
    with as_machine_error(home):
        home.mkdir(parents=True, exist_ok=True)
        handle = os.open(home / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)
