"""What an engine is, and which ones can be tried here. Each engine is a file of its own."""

from __future__ import annotations

import os
import shutil
from typing import Protocol

from modelcrate.containers.options import ENGINES, NOT_HELD_BY_CHROOT
from modelcrate.containers.spec import SupervisorSpec
from modelcrate_layers.errors import MachineError


class Engine(Protocol):
    """A way to run a program in a root folder. It works inside a supervisor, which has one thread and nothing else to do."""

    def unusable(self, spec: SupervisorSpec) -> str:
        """Returns why this engine can't be used here, or nothing, as far as that is known before it is tried."""
        ...

    def launch(self, spec: SupervisorSpec, log: int) -> int:
        """Starts the program with its output in `log`, and returns the process to signal, which is a child of this one.

        Raises:
            MachineError: this machine can't do it.
            UserError: the program can't be started.
        """
        ...

    def clear(self, spec: SupervisorSpec) -> None:
        """Removes what the engine keeps outside the container's folder, also after a crash."""
        ...


def engine(name: str) -> Engine:
    """Returns the engine of that name."""
    from modelcrate.containers.chroot import Chroot
    from modelcrate.containers.namespaces import Namespaces
    from modelcrate.containers.runc import OciRuntime

    found: dict[str, Engine] = {"chroot": Chroot(), "namespaces": Namespaces()}
    return found.get(name) or OciRuntime(name)


def candidates(wanted: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """Chooses the engines to try. A trial shows whether one works: a runtime may be installed and refuse this machine's cgroups.

    Args:
        wanted: an engine's name, or `auto` for all that are containers.

    Returns:
        The engines, best first, and the programs of those that are programs.

    Raises:
        MachineError: the engine that was named can't be used here.
    """
    root = os.geteuid() == 0
    # where Debian and Fedora put runtimes is on root's PATH, but not on that of a service or of sudo everywhere
    path = os.pathsep.join([*os.get_exec_path(), "/usr/sbin", "/usr/bin"])
    found = {name: shutil.which(name, path=path) for name in ("runc", "crun")}
    programs = {name: program for name, program in found.items() if program}
    usable = tuple(
        name for name in ENGINES if name == "namespaces" or (root and (name == "chroot" or name in programs))
    )
    if wanted == "auto":
        return tuple(name for name in usable if name != "chroot"), programs
    if wanted not in usable:
        why = "it is not installed" if root else "it needs root"
        raise MachineError(f"the engine {wanted} can't be used here", why=why, hint=f"here are: {', '.join(usable)}")
    return (wanted,), programs


def first_usable(spec: SupervisorSpec, log: int) -> tuple[str, int, tuple[str, ...]]:
    """Launches with the first engine that works.

    Returns:
        The engine's name, the process to signal, and a note for each engine that was tried before.

    Raises:
        UserError: an engine works, and the program can't be started.
        MachineError: no engine works, with the reason of each.
    """
    notes: list[str] = []
    before = os.fstat(log).st_size
    for name in spec.engines:
        tried = engine(name)
        reason = tried.unusable(spec)
        if not reason:
            try:
                return name, tried.launch(spec, log), tuple(notes)
            except MachineError as fault:
                tried.clear(spec)
                os.ftruncate(
                    log, before
                )  # what a runtime wrote when it failed is in `reason`; the log is the program's
                reason = fault.what
        notes.append(f"{name}: {reason}")
    raise MachineError("no engine can start a container here", why="\n".join(notes), hint=_hint(spec))


def _hint(spec: SupervisorSpec) -> str:
    if spec.options.limits:
        return "limits take root and runc; an ordinary user can start all of it as `systemd-run --user --scope -p MemoryMax=2G modelcrate run ...`"
    if spec.rootless:
        return "allow user namespaces for ordinary users, or run this as root"
    if spec.engines == ("chroot",):
        return ""
    return (
        "give this machine namespaces (docker run --privileged, a VM), or, for an image that you trust, type:\n"
        f"    modelcrate run --engine chroot {spec.options.image or 'IMAGE'}\n"
        f"{NOT_HELD_BY_CHROOT}"
    )
