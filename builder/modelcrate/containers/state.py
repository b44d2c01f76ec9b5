"""What is known about a container on disk: one folder each, with `state.json`, `log`, and while it runs `rootfs`."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from modelcrate.containers.inside import remove_path
from modelcrate.containers.options import Port
from modelcrate.containers.processes import ProcessId
from modelcrate_layers.errors import MachineError
from modelcrate_layers.frozen import dataclass

_FILE = "state.json"


@dataclass(frozen=True, slots=True)
class ContainerState:
    """A container at one moment.

    `status` is `starting`, `running` or `ended`; who reads it must still ask whether `supervisor` lives, for a crash writes nothing.
    `main` is the process to signal. `exit_code` is None until the end, and after a crash. `network` is what came of the wish, and `notes` say why
    something came out other than wished.
    """

    status: str
    supervisor: ProcessId
    stop_signal: int
    keep: bool = False
    main: ProcessId | None = None
    engine: str = ""
    network: str = ""
    ports: tuple[Port, ...] = ()
    notes: tuple[str, ...] = ()
    exit_code: int | None = None

    def save(self, folder: Path) -> None:
        """Written beside and renamed, so that a reader sees the old state or the new one."""
        beside = folder / f".{_FILE}.{os.getpid()}"
        beside.write_text(json.dumps(asdict(self)))
        beside.rename(folder / _FILE)

    @classmethod
    def load(cls, folder: Path) -> ContainerState:
        """MachineError where there is no state, or one that we can't read."""
        try:
            return _state(json.loads((folder / _FILE).read_text()))
        except (OSError, ValueError, TypeError, KeyError) as fault:
            raise MachineError("the state of a container can't be read", where=str(folder), why=str(fault)) from None


def clear_running(folder: Path, keep: bool) -> None:
    """Removes what only a running container needs; the root folder too, but where it is to be kept."""
    for name in ("bundle", "runtime", *(() if keep else ("rootfs",))):
        remove_path(folder / name)


def _state(held: dict[str, Any]) -> ContainerState:
    main = held["main"]
    return ContainerState(
        **held
        | {
            "supervisor": ProcessId(**held["supervisor"]),
            "main": ProcessId(**main) if main else None,
            "ports": tuple(Port(**port) for port in held["ports"]),
            "notes": tuple(held["notes"]),
        }
    )
