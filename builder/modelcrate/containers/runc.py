"""An installed OCI runtime (runc, or crun where it works): a bundle for it, and its commands.

The network is the supervisor's own, which the bundle inherits by not naming one.
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
from modelcrate.containers.spec import SupervisorSpec
from modelcrate_layers.errors import MachineError, UserError
from modelcrate_layers.frozen import dataclass

_PATIENCE = 60
"""Seconds that a runtime may take for one command."""

_MISSING = ("executable file not found", "no such file or directory", "permission denied")


@dataclass(frozen=True, slots=True)
class OciRuntime:
    """Any program that speaks runc's command line."""

    name: str

    def unusable(self, spec: SupervisorSpec) -> str:
        if self.name not in spec.programs:
            return "it is not installed"
        return "it can't start anything with hybrid cgroups" if self.name == "crun" and hybrid_cgroups() else ""

    def launch(self, spec: SupervisorSpec, log: int) -> int:
        """Creates and starts; between the two the container's first process exists, waits, and is ours (we adopt orphans)."""
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
        if self.name in spec.programs:
            subprocess.run(
                [*self._command(spec), "delete", "--force", _id(spec)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=_PATIENCE,
            )  # fmt: skip

    def _command(self, spec: SupervisorSpec) -> list[str]:
        state, log = spec.folder / "runtime", spec.folder / "runtime.log"
        return [spec.programs[self.name], "--root", str(state), "--log", str(log), "--log-format", "json"]

    def _run(self, spec: SupervisorSpec, verb: str, *arguments: str, output: int = subprocess.DEVNULL) -> None:
        command = [*self._command(spec), verb, *arguments, _id(spec)]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=_PATIENCE)
        except (OSError, subprocess.TimeoutExpired) as fault:
            raise MachineError(f"{self.name} {verb}: {fault}") from None
        if done.returncode:
            words = _last_words(spec) or f"{self.name} {verb} ended with {done.returncode}"
            if f'exec: "{spec.process.args[0]}"' in words and any(sign in words for sign in _MISSING):
                raise UserError(f"can't start {spec.process.args[0]!r} of the image: {words.rpartition(': ')[2]}")
            raise MachineError(words)


def hybrid_cgroups(root: Path = Path("/sys/fs/cgroup")) -> bool:
    """Whether this machine has cgroups of both versions, with which crun can't start anything."""
    return (root / "unified").is_dir()


def bundle_config(spec: SupervisorSpec) -> dict[str, Any]:
    """The bundle's config.json (OCI runtime specification 1.0, config.md and config-linux.md)."""
    kept = list(KEPT)
    held = kept if spec.identity.uid == 0 else []
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {"uid": spec.identity.uid, "gid": spec.identity.gid, "umask": 0o022},
            "args": list(spec.process.args),
            "env": list(spec.process.env),
            "cwd": spec.process.cwd,
            "noNewPrivileges": True,
            "capabilities": {"bounding": kept, "effective": held, "permitted": held},
        },
        "root": {"path": str(spec.rootfs), "readonly": spec.read_only},
        "hostname": spec.name,
        "mounts": _mounts(spec.read_only),
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")],
            "maskedPaths": [f"/{path}" for path in MASKED],
            "readonlyPaths": [f"/{path}" for path in READ_ONLY],
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
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


def _id(spec: SupervisorSpec) -> str:
    """A container's id for the runtime: unique on the machine, for its cgroup bears it; names are so in their state folder only."""
    return "modelcrate-" + hashlib.sha256(str(spec.folder).encode()).hexdigest()[:16]


def _last_words(spec: SupervisorSpec) -> str:
    """What the runtime logged last as an error."""
    try:
        lines = (spec.folder / "runtime.log").read_text(errors="replace").splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{")]
    except (OSError, ValueError):
        return ""
    return next((str(entry.get("msg", "")) for entry in reversed(found) if entry.get("level") == "error"), "")
