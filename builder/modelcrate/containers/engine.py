"""What an engine is, and which ones can be tried here. One file an engine; this one is found by its name."""

from __future__ import annotations

import os
import shutil
from typing import Protocol

from modelcrate.containers.options import ENGINES
from modelcrate.containers.spec import SupervisorSpec
from modelcrate_layers.errors import MachineError


class Engine(Protocol):
    """A way to run a program in a root folder. It works inside a supervisor, which has one thread and nothing else to do."""

    def unusable(self, spec: SupervisorSpec) -> str:
        """Why this engine can't be used here; nothing where it can, as far as that is known before it is tried."""
        ...

    def launch(self, spec: SupervisorSpec, log: int) -> int:
        """Starts the program with its output in `log`; gives the process to signal, which is a child of this one.

        MachineError where this machine can't do it, UserError where the image or the request can't be started.
        """
        ...

    def clear(self, spec: SupervisorSpec) -> None:
        """Removes what the engine keeps outside the container's folder, also after a crash."""
        ...


def engine(name: str) -> Engine:
    """The engine of that name."""
    from modelcrate.containers.chroot import Chroot
    from modelcrate.containers.namespaces import Namespaces
    from modelcrate.containers.runc import OciRuntime

    found: dict[str, Engine] = {"chroot": Chroot(), "namespaces": Namespaces()}
    return found.get(name) or OciRuntime(name)


def candidates(wanted: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """The engines to try, best first, and the programs of those that are programs. MachineError where there is none.

    Only root can try a runtime or chroot. Whether one really works is seen when it is tried: a runtime may be installed and refuse
    this machine's cgroups (crun and hybrid ones).
    """
    root = os.geteuid() == 0
    # where Debian and Fedora put runtimes is on root's PATH, but not on that of a service or of sudo everywhere
    path = os.pathsep.join([*os.get_exec_path(), "/usr/sbin", "/usr/bin"])
    found = {name: shutil.which(name, path=path) for name in ("runc", "crun")}
    programs = {name: program for name, program in found.items() if program}
    names = tuple(name for name in ENGINES if name == "namespaces" or (root and (name == "chroot" or name in programs)))
    if wanted != "auto":
        if wanted not in names:
            why = "it is not installed" if root else "it needs root"
            raise MachineError(f"the engine {wanted} can't be used here", why=why, hint=f"here are: {', '.join(names)}")
        names = (wanted,)
    return names, programs


def first_usable(spec: SupervisorSpec, log: int) -> tuple[str, int, tuple[str, ...]]:
    """Launches with the first engine that works: its name, the process, and a note for each engine that didn't.

    MachineError with all the reasons where none works; a UserError (there is no such program in the image) ends the search.
    """
    notes: list[str] = []
    for name in spec.engines:
        tried = engine(name)
        reason = tried.unusable(spec)
        if not reason:
            try:
                return name, tried.launch(spec, log), tuple(notes)
            except MachineError as fault:
                tried.clear(spec)
                os.ftruncate(log, 0)  # the words of a runtime that failed are in `reason`; the log is the program's
                reason = fault.what
        notes.append(f"{name}: {reason}")
    hint = "allow user namespaces for ordinary users, or run this as root" if spec.rootless else ""
    raise MachineError("no engine can start a container here", why="\n".join(notes), hint=hint)
