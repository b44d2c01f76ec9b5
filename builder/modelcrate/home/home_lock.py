"""The lock of MODELCRATE_HOME. Builds hold it shared, `cache prune` holds it exclusively, so a build's blobs are not pruned.

The kernel releases it when its process ends.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelcrate.config import Config
from modelcrate.home.folder import check_home
from modelcrate_layers import host
from modelcrate_layers.errors import MachineError
from modelcrate_layers.store import as_machine_error

FILE = ".lease"
"""The name on the disk is kept: processes of older versions lock the same file."""


@contextmanager
def shared_home_lock(config: Config) -> Iterator[None]:
    """Holds the lock together with any number of builds. Waits for a prune that is running.

    Raises:
        MachineError: The home can't be used.
    """
    check_home(config)
    with _locked(config.home, shared=True):
        yield


@contextmanager
def exclusive_home_lock(home: Path, *, wait: bool = False) -> Iterator[None]:
    """Holds the lock alone.

    Args:
        home: The folder MODELCRATE_HOME.
        wait: Whether to wait for builds that are running.

    Raises:
        MachineError: A build is running, and `wait` is false.
    """
    try:
        with _locked(home, wait=wait):
            yield
    except BlockingIOError:
        raise MachineError(
            "is in use by a build", where=str(home), hint="try again when it has ended, or let prune --wait for it"
        ) from None


@contextmanager
def _locked(home: Path, *, shared: bool = False, wait: bool = True) -> Iterator[None]:
    with as_machine_error(home):
        home.mkdir(parents=True, exist_ok=True)
        handle = host.open_lock(home / FILE)
    try:
        host.lock(handle, shared=shared, wait=wait)
        yield
    finally:
        os.close(handle)
