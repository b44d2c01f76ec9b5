"""What a supervisor needs to know, as a file of the container's folder. Only modelcrate writes and reads it, in a folder of the user's own."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from modelcrate.containers.devices import Devices
from modelcrate.containers.identity import Identity
from modelcrate.containers.limits import Limits, Restart
from modelcrate.containers.options import Port, RunOptions, Volume
from modelcrate.containers.process import Process
from modelcrate_layers.errors import CrateError, MachineError
from modelcrate_layers.frozen import dataclass

_FILE = "spec.json"


@dataclass(frozen=True, slots=True)
class SupervisorSpec:
    """One container to be started.

    Attributes:
        options: What was asked for; its volumes have the real paths of the root folder, as `mount_point` gave them.
        folder: The container's folder.
        process: The program.
        identity: Its user by number.
        engines: The engines to try, best first.
        programs: The OCI runtimes that were found, by engine name.
        rootless: Whether an ordinary user starts it.
        notes: What was changed in the image before the start.
    """

    options: RunOptions
    folder: Path
    process: Process
    identity: Identity
    engines: tuple[str, ...]
    programs: dict[str, str]
    rootless: bool
    notes: tuple[str, ...] = ()

    @property
    def rootfs(self) -> Path:
        """The image's root folder."""
        return self.folder / "rootfs"

    def save(self) -> None:
        """Writes it to the container's folder."""
        (self.folder / _FILE).write_text(json.dumps(asdict(self), default=str))

    @classmethod
    def load(cls, folder: Path) -> SupervisorSpec:
        """Reads it. MachineError for a file that is gone or damaged."""
        try:
            held = json.loads((folder / _FILE).read_text())
            process = held["process"]
            return cls(
                **held
                | {
                    "options": _options(held["options"]),
                    "folder": folder,
                    "process": Process(**process | {"args": tuple(process["args"]), "env": tuple(process["env"])}),
                    "identity": Identity(**held["identity"]),
                    "engines": tuple(held["engines"]),
                    "notes": tuple(held["notes"]),
                }
            )
        except (OSError, ValueError, TypeError, KeyError, AttributeError, CrateError) as fault:
            raise MachineError("a container's description can't be read", where=str(folder), why=str(fault)) from None


def _options(held: dict[str, Any]) -> RunOptions:
    def words(name: str) -> tuple[str, ...] | None:
        return None if held[name] is None else tuple(held[name])

    return RunOptions(
        **held
        | {
            "state_dir": Path(held["state_dir"]),
            "ports": tuple(Port(**port) for port in held["ports"]),
            "entrypoint": words("entrypoint"),
            "command": words("command"),
            "volumes": tuple(Volume(**each | {"host": Path(each["host"])}) for each in held["volumes"]),
            "limits": Limits(**held["limits"]),
            "devices": Devices.load(held["devices"]),
            "restart": Restart(**held["restart"]),
            "trees": Path(held["trees"]) if held["trees"] else None,
        }
    )
