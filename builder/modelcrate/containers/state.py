"""What is known about a container on disk: one folder each, with `state.json`, `spec.json`, `log`, and while it runs `rootfs`.

The state file is a record, not the truth: a container whose file is gone or damaged is found by its processes.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from modelcrate.containers.layer_trees import remove_root
from modelcrate.containers.options import Port
from modelcrate.containers.processes import ProcessId, parent_of, process_of_module, processes_in
from modelcrate.containers.spec import SupervisorSpec
from modelcrate.images.removal import remove_path
from modelcrate_layers.errors import CrateError, MachineError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.named_file import open_named_file

STATUSES = ("starting", "running", "orphaned", "ended")

STOP = "stop"
"""The file by which a container's supervisor knows that somebody has asked for the end, so that it starts nothing again."""

_FILE = "state.json"
_NO_PROCESS = ProcessId(0, "")
_SIGTERM = 15


@dataclass(frozen=True, slots=True)
class ContainerState:
    """A container at one moment.

    `status` is one of STATUSES; `orphaned` is a program that runs on without its supervisor, so that its ports are not served. A file
    never says so: its reader looks whether the processes live. `main` is the process to signal. `exit_code` is None until the end, and
    after a crash. `network` is the network in use, and `notes` say where something differs from the options. Times are seconds since 1970, or 0.
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
    started: float = 0
    ended: float = 0
    restarts: int = 0

    def save(self, folder: Path) -> None:
        """Writes it beside and renames it, so that a reader finds the old state or the new one."""
        beside = folder / f".{_FILE}.{os.getpid()}"
        beside.write_text(json.dumps(asdict(self)))
        beside.rename(folder / _FILE)

    @classmethod
    def load(cls, folder: Path) -> ContainerState:
        """Reads it, or makes it anew from the processes that run where the file can't be read.

        Raises:
            MachineError: there is no folder.
        """
        try:
            with open_named_file(folder / _FILE) as file:
                return _parse(json.loads(file.read()))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, CrateError) as fault:
            if not folder.is_dir():
                raise MachineError("there is no container any more", where=str(folder)) from None
            return _recovered(folder, f"the state file can't be read: {fault}")


def clear_running(folder: Path, keep: bool) -> None:
    """Removes what only a running container needs; the root folder too, except where it is to be kept."""
    for name in ("bundle", "runtime"):
        remove_path(folder / name)
    if not keep:
        remove_root(folder)


def _recovered(folder: Path, note: str) -> ContainerState:
    supervisor = process_of_module("supervisor", str(folder.resolve()))
    inside = processes_in(folder / "rootfs")
    first = inside[0] if inside else None
    main = next((each for each in inside if supervisor and parent_of(each.pid) == supervisor.pid), first)
    spec = None
    with suppress(MachineError):
        spec = SupervisorSpec.load(folder)
    return ContainerState(
        status="running" if main else "ended",
        supervisor=supervisor or _NO_PROCESS,
        stop_signal=spec.process.stop_signal if spec else _SIGTERM,
        keep=bool(spec and spec.options.keep),
        main=main,
        ports=tuple(port for port in spec.options.ports if port.host) if spec else (),
        notes=(note,),
    )


def _parse(held: dict[str, Any]) -> ContainerState:
    if held["status"] not in STATUSES or not isinstance(held["stop_signal"], int):
        raise ValueError("its fields are not a container's")
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
