"""What a supervisor needs to know, as it is handed over on disk. Written and read by us only, in a folder of the user's own."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from modelcrate.containers.identity import Identity
from modelcrate.containers.options import Port, Process
from modelcrate_layers.frozen import dataclass

_FILE = "spec.json"


@dataclass(frozen=True, slots=True)
class SupervisorSpec:
    """One container to be started. `programs` are the OCI runtimes found, by engine name."""

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

    @property
    def rootfs(self) -> Path:
        return self.folder / "rootfs"

    def save(self) -> None:
        (self.folder / _FILE).write_text(json.dumps(asdict(self) | {"folder": str(self.folder)}))

    @classmethod
    def load(cls, folder: Path) -> SupervisorSpec:
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
            }
        )
