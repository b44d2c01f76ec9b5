"""Devices of this machine for a container, the groups that may use them, and the programs that a runtime starts for them. Values."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Any

from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass


@dataclass(frozen=True, slots=True)
class DeviceNode:
    """A device file: `host` on the machine, `container` in the container, and what may be done with it (`rwm`)."""

    host: str
    container: str
    access: str = "rwm"

    def check(self) -> None:
        """Checks that the machine has it. UserError otherwise."""
        hint = "is its driver loaded? The description of the device may be old: write it again"
        try:
            mode = os.stat(self.host).st_mode
        except OSError as fault:
            raise UserError("there is no such device", where=self.host, why=fault.strerror or "", hint=hint) from None
        if not (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)):
            raise UserError("not a device", where=self.host, hint=hint)

    def described(self) -> dict[str, Any]:
        """Returns it as a runtime takes it (OCI runtime specification, config-linux.md)."""
        held = os.stat(self.host)
        return {
            "path": self.container,
            "type": "c" if stat.S_ISCHR(held.st_mode) else "b",
            "major": os.major(held.st_rdev),
            "minor": os.minor(held.st_rdev),
            "fileMode": held.st_mode & 0o777,
            "uid": held.st_uid,
            "gid": held.st_gid,
        }


@dataclass(frozen=True, slots=True)
class Hook:
    """A program of the machine that a runtime starts at a moment of a container's life (OCI runtime specification, config.md)."""

    moment: str
    path: str
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    timeout: int = 0

    def described(self) -> dict[str, Any]:
        """Returns it as a runtime takes it."""
        found: dict[str, Any] = {"path": self.path, "args": list(self.args), "env": list(self.env)}
        return {**found, "timeout": self.timeout} if self.timeout else found


@dataclass(frozen=True, slots=True)
class Devices:
    """The devices of a container, with the groups and hooks that belong to them."""

    nodes: tuple[DeviceNode, ...] = ()
    hooks: tuple[Hook, ...] = ()
    groups: tuple[int, ...] = ()

    def joined(self, other: Devices) -> Devices:
        """Returns both, each thing once: devices of one kind share most of what they need."""

        def both(name: str) -> tuple[Any, ...]:
            return tuple(dict.fromkeys((*getattr(self, name), *getattr(other, name))))

        return Devices(both("nodes"), both("hooks"), both("groups"))

    def check(self) -> None:
        """Checks that the machine has all of it. UserError otherwise."""
        for node in self.nodes:
            node.check()

    def bundle(self) -> dict[str, Any]:
        """Returns the parts of a bundle's config.json: `hooks`, and `devices` with the `rules` that allow them."""
        moments: dict[str, list[dict[str, Any]]] = {}
        for hook in self.hooks:
            moments.setdefault(hook.moment, []).append(hook.described())
        devices = [node.described() for node in self.nodes]
        rules = [
            {"allow": True, "access": node.access, **{key: each[key] for key in ("type", "major", "minor")}}
            for node, each in zip(self.nodes, devices, strict=True)
        ]
        return {"hooks": moments, "devices": devices, "rules": rules}

    @classmethod
    def load(cls, held: Mapping[str, Any]) -> Devices:
        """Returns what `dataclasses.asdict` made of one, from a file of our own."""
        return cls(
            tuple(DeviceNode(**each) for each in held.get("nodes", ())),
            tuple(
                Hook(**each | {"args": tuple(each["args"]), "env": tuple(each["env"])})
                for each in held.get("hooks", ())
            ),
            tuple(held.get("groups", ())),
        )
