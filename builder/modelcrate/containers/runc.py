"""An installed OCI runtime (runc, or crun where it works): a bundle for it, and its commands.

The network is the supervisor's own, which the bundle inherits by not naming one. A runtime without seccomp refuses the bundle, and the next
engine is tried.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

from modelcrate.containers import linux
from modelcrate.containers.init import KEPT
from modelcrate.containers.namespaces import MASKED, READ_ONLY
from modelcrate.containers.options import Volume
from modelcrate.containers.seccomp import runtime_profile
from modelcrate.containers.spec import SupervisorSpec
from modelcrate_layers.errors import MachineError, UserError
from modelcrate_layers.frozen import dataclass

_TIMEOUT = 60
"""Seconds that a runtime may take for one command."""

_EXEC = "unable to start container process: exec: "
"""What stands in runc's message where the program is at fault, whatever is wrong with it."""

_MISSING = ("executable file not found", "executable file `", "open executable", "exec format error")
"""The same in the messages of crun and of older runtimes."""


@dataclass(frozen=True, slots=True)
class OciRuntime:
    """Any program that speaks runc's command line."""

    name: str

    def unusable(self, spec: SupervisorSpec) -> str:
        """Returns why the runtime can't run this container; empty where it can."""
        if self.name not in spec.programs:
            return "it is not installed"
        return "it can't start anything with hybrid cgroups" if self.name == "crun" and hybrid_cgroups() else ""

    def launch(self, spec: SupervisorSpec, log: int) -> int:
        """Creates the container and starts it. In between its first process waits, and is a child of this one, which adopts orphans."""
        linux.adopt_orphans()
        bundle = spec.folder / "bundle"
        bundle.mkdir(exist_ok=True)
        (bundle / "config.json").write_text(json.dumps(bundle_config(spec)))
        pid_file = bundle / "pid"
        pid_file.unlink(missing_ok=True)
        self._run(spec, "create", "--bundle", str(bundle), "--pid-file", str(pid_file), output=log)
        self._run(spec, "start")
        return int(pid_file.read_text())

    def clear(self, spec: SupervisorSpec) -> None:
        """Removes what the runtime still keeps of the container."""
        if self.name in spec.programs:
            subprocess.run(
                [*self._command(spec), "delete", "--force", _id(spec)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=_TIMEOUT,
            )  # fmt: skip

    def _command(self, spec: SupervisorSpec) -> list[str]:
        state, log = spec.folder / "runtime", spec.folder / "runtime.log"
        return [spec.programs[self.name], "--root", str(state), "--log", str(log), "--log-format", "json"]

    def _run(self, spec: SupervisorSpec, verb: str, *arguments: str, output: int = subprocess.DEVNULL) -> None:
        command = [*self._command(spec), verb, *arguments, _id(spec)]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=_TIMEOUT)
        except (OSError, subprocess.TimeoutExpired) as fault:
            raise MachineError(f"{self.name} {verb}: {fault}") from None
        if done.returncode:
            reason = _last_error(spec) or f"{self.name} {verb} ended with {done.returncode}"
            if _EXEC in reason or any(sign in reason for sign in _MISSING):
                raise UserError(
                    f"can't start {spec.process.args[0]!r} of the image: {reason.rpartition(': ')[2]}",
                    hint="options of modelcrate run stand before the image, and what is behind it is the program"
                    if spec.process.args[0].startswith("-")
                    else "name a program that the image has: modelcrate inspect shows its own command",
                )
            raise MachineError(reason)


def hybrid_cgroups(root: Path = Path("/sys/fs/cgroup")) -> bool:
    """Whether this machine has cgroups of both versions, with which crun can't start anything."""
    return (root / "unified").is_dir()


def bundle_config(spec: SupervisorSpec) -> dict[str, Any]:
    """The bundle's config.json (OCI runtime specification 1.0, config.md and config-linux.md)."""
    kept = list(KEPT)
    held = kept if spec.identity.uid == 0 else []
    devices = spec.options.devices.bundle()
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {
                "uid": spec.identity.uid,
                "gid": spec.identity.gid,
                "umask": 0o022,
                **({"additionalGids": list(spec.options.devices.groups)} if spec.options.devices.groups else {}),
            },
            "args": list(spec.process.args),
            "env": list(spec.process.env),
            "cwd": spec.process.cwd,
            "noNewPrivileges": True,
            "capabilities": {"bounding": kept, "effective": held, "permitted": held},
        },
        "root": {"path": str(spec.rootfs), "readonly": spec.options.read_only},
        "hostname": spec.options.name,
        "hooks": devices["hooks"],
        "mounts": [*_mounts(spec.options.read_only), *map(_volume, spec.options.volumes)],
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")],
            "seccomp": runtime_profile(),
            "maskedPaths": [f"/{path}" for path in MASKED],
            "readonlyPaths": [f"/{path}" for path in READ_ONLY],
            "devices": devices["devices"],
            "resources": {
                "devices": [{"allow": False, "access": "rwm"}, *devices["rules"]],
                **spec.options.limits.resources(),
            },
        },
    }


def _mounts(read_only: bool) -> list[dict[str, Any]]:
    quiet = ["nosuid", "nodev", "noexec"]
    found = [
        ("/proc", "proc", quiet),
        ("/sys", "sysfs", [*quiet, "ro"]),
        ("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        ("/dev/shm", "tmpfs", [*quiet, "mode=1777"]),  # noqa: S108 - a path in the image
        *([("/tmp", "tmpfs", ["nosuid", "nodev", "mode=1777"])] if read_only else []),  # noqa: S108 - likewise
    ]
    return [{"destination": path, "type": kind, "source": kind, "options": how} for path, kind, how in found]


def _volume(volume: Volume) -> dict[str, Any]:
    mode = ["rro"] if volume.read_only else ["rw"]  # rro: what is mounted below it is read-only as well
    options = ["rbind", "rprivate", "nosuid", "nodev", *mode]
    return {"destination": volume.container, "type": "bind", "source": str(volume.host), "options": options}


def _id(spec: SupervisorSpec) -> str:
    """The container's id for the runtime. Its cgroup has this name, so it is unique on the machine; a name is so in its state folder only."""
    return "modelcrate-" + hashlib.sha256(str(spec.folder).encode()).hexdigest()[:16]


def _last_error(spec: SupervisorSpec) -> str:
    """The last error that the runtime logged."""
    try:
        lines = (spec.folder / "runtime.log").read_text(errors="replace").splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{")]
    except (OSError, ValueError):
        return ""
    return next((str(entry.get("msg", "")) for entry in reversed(found) if entry.get("level") == "error"), "")
