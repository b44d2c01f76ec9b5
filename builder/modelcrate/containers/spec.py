"""What a supervisor needs to know, as a file of the container's folder. Only modelcrate writes and reads it, in a folder of the user's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, field
from pathlib import Path

from modelcrate.containers.devices import Devices
from modelcrate.containers.identity import Identity
from modelcrate.containers.limits import Limits, Restart
from modelcrate.containers.options import Port, Volume
from modelcrate.containers.process import Process
from modelcrate_layers.errors import MachineError
from modelcrate_layers.frozen import dataclass

_FILE = "spec.json"


@dataclass(frozen=True, slots=True)
class SupervisorSpec:
    """One container to be started.

    `programs` are the OCI runtimes that were found, by engine name. `volumes` have real paths of the root folder, as `mount_point` gave them.
    `notes` say what was changed in the image before the start. `image` and `digest` say where it came from, `labels` what others
    want to know of it. `trees` is the folder of unpacked layers that are kept.
    """

    name: str
    folder: Path
    process: Process
    identity: Identity
    ports: tuple[Port, ...]
    engines: tuple[str, ...]
    programs: dict[str, str]
    network: str
    read_only: bool
    keep: bool
    rootless: bool
    volumes: tuple[Volume, ...] = ()
    notes: tuple[str, ...] = ()
    image: str = ""
    digest: str = ""
    remove: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    trees: Path | None = None
    limits: Limits = Limits()
    restart: Restart = Restart()
    devices: Devices = Devices()

    @property
    def rootfs(self) -> Path:
        """The image's root folder."""
        return self.folder / "rootfs"

    def save(self) -> None:
        """Writes it to the container's folder."""
        (self.folder / _FILE).write_text(json.dumps(asdict(self), default=str))

    @classmethod
    def load(cls, folder: Path) -> SupervisorSpec:
        """Reads it. MachineError for a file that is gone or damaged, or whose volumes are not there any more."""
        try:
            return cls._read(folder)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as fault:
            raise MachineError("a container's description can't be read", where=str(folder), why=str(fault)) from None

    @classmethod
    def _read(cls, folder: Path) -> SupervisorSpec:
        held = json.loads((folder / _FILE).read_text())
        process = held["process"]
        return cls(
            **held
            | {
                "folder": folder,
                "process": Process(**process | {"args": tuple(process["args"]), "env": tuple(process["env"])}),
                "identity": Identity(**held["identity"]),
                "ports": tuple(Port(**port) for port in held["ports"]),
                "engines": tuple(held["engines"]),
                "volumes": tuple(Volume(**each | {"host": Path(each["host"])}) for each in held["volumes"]),
                "notes": tuple(held["notes"]),
                "trees": Path(held["trees"]) if held.get("trees") else None,
                "limits": Limits(**held.get("limits", {})),
                "restart": Restart(**held.get("restart", {})),
                "devices": Devices.load(held.get("devices", {})),
            }
        )
