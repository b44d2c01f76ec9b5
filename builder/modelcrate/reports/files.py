"""Writes pages and traces into files that a user names."""

from __future__ import annotations

from pathlib import Path

from modelcrate_layers import atomic
from modelcrate_layers.store import as_machine_error


def write_file(path: Path, data: bytes) -> None:
    """Writes a file, whole or not at all.

    Raises:
        MachineError: It can't be written.
    """
    with as_machine_error(path):
        atomic.write_file(path, data)
