"""Writes pages and traces into files that a user names."""

from __future__ import annotations

from pathlib import Path

from modelcrate_layers import atomic
from modelcrate_layers.errors import UserError
from modelcrate_layers.store import as_machine_error


def write_file(path: Path, data: bytes) -> None:
    """Writes a file, whole or not at all.

    Raises:
        MachineError: It can't be written.
    """
    with as_machine_error(path):
        atomic.write_file(path, data)


def check_target(path: Path) -> None:
    """Checks that a file can be made at a path, before the work whose result it will have.

    Raises:
        UserError: Its folder is not there, or it is a folder, a device or a pipe itself.
    """
    if path.is_dir():
        raise UserError("is a folder", where=str(path), hint="name a file in it")
    if path.exists() and not path.is_file():
        raise UserError("is no regular file", where=str(path), hint="name a file that may be replaced")
    if not path.parent.is_dir():
        raise UserError("can't be written: there is no such folder", where=str(path), hint=f"mkdir -p {path.parent}")
