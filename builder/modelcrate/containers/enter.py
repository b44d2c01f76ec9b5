"""A second program in a running container: into its namespaces, out of our rights, under the same filter.

Run as `python -m modelcrate.containers.enter FOLDER REQUEST REPORT`: the container's folder, a descriptor with an `ExecRequest` as JSON, and one
that gets what went wrong. It stays as the program's parent, passes signals on, and ends with the program's exit code.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import termios
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from modelcrate.containers import linux
from modelcrate.containers.identity import Identity, identify
from modelcrate.containers.init import drop_rights, execute, exit_code, keep_descriptors, report_fault
from modelcrate.containers.process import Process, variables_of
from modelcrate.containers.processes import ProcessId, processes_in
from modelcrate.containers.spec import SupervisorSpec
from modelcrate.containers.state import ContainerState
from modelcrate.images.root_folder import ContainerRoot
from modelcrate_layers.errors import MachineError, UserError
from modelcrate_layers.frozen import dataclass, replace

_NAMESPACES = ("user", "ipc", "uts", "net", "pid", "cgroup", "mnt")
"""In the order of entering: the rights of a user namespace come first, and the view of the files changes last."""

_PASSED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGWINCH)


@dataclass(frozen=True, slots=True)
class ExecRequest:
    """The program, and what is other than in the container's own: variables, working folder, user."""

    args: tuple[str, ...]
    env: tuple[str, ...] = ()
    cwd: str | None = None
    user: str | None = None


def main(folder: Path, request_fd: int, report: int) -> NoReturn:
    """Starts the program, waits for it, and ends as it ends."""
    os.set_inheritable(report, False)
    try:
        with os.fdopen(request_fd, "rb") as file:
            held = json.load(file)
        request = ExecRequest(**held | {"args": tuple(held["args"]), "env": tuple(held["env"])})
        signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED)
        child = _start(folder, request, report)
    except BaseException as fault:
        report_fault(report, fault)
        os._exit(1)
    os.close(report)
    _wait(child)


def _start(folder: Path, request: ExecRequest, report: int) -> int:
    spec = SupervisorSpec.load(folder)
    linux.close_to_others()  # the programs of the container are about to see this process
    _enter(spec, ContainerState.load(folder))
    identity = _identity(spec, request.user)
    process = _process(spec, identity, request)
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        keep_descriptors((0, 1, 2), report)
        if os.isatty(0):
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        drop_rights(identity, spec.rootless)
        linux.close_to_others()
        linux.die_with_parent(signal.SIGKILL)
        execute(process, identity, report)
    except BaseException as fault:  # nothing may get past here: this is a fork
        report_fault(report, fault)
    finally:
        os._exit(1)


def _enter(spec: SupervisorSpec, state: ContainerState) -> None:
    """Enters the namespaces of a process of the container. Its first one is closed to ordinary users; the program is not."""
    inside = [*([state.main] if state.main else []), *processes_in(spec.rootfs)]
    for process in inside:
        with suppress(OSError):
            namespaces = _open_namespaces(process)
            break
    else:
        raise MachineError(f"no process of the container {spec.options.name} can be entered")
    for fd in namespaces:
        linux.setns(fd)
        os.close(fd)
    if state.engine == "chroot":
        os.chroot(spec.rootfs)
    os.chdir("/")


def _open_namespaces(process: ProcessId) -> list[int]:
    """Those that are not this process's own. OSError where the process has ended meanwhile or is closed to us."""
    found = []
    for name in _NAMESPACES:
        theirs = f"/proc/{process.pid}/ns/{name}"
        if not os.path.samestat(os.stat(theirs), os.stat(f"/proc/self/ns/{name}")):
            found.append(os.open(theirs, os.O_RDONLY | os.O_CLOEXEC))
    if not process.alive():
        raise ProcessLookupError
    return found


def _identity(spec: SupervisorSpec, user: str | None) -> Identity:
    if user is None:
        return spec.identity
    with ContainerRoot(Path("/")) as root:
        identity = identify(root, user)
    if spec.rootless and (identity.uid, identity.gid) != (spec.identity.uid, spec.identity.gid):
        raise UserError(
            f"the container {spec.options.name} has the user {spec.identity.uid} and no other",
            why="it was started by an ordinary user of this machine",
        )
    return identity


def _process(spec: SupervisorSpec, identity: Identity, request: ExecRequest) -> Process:
    env = variables_of(spec.process.env)
    if request.user is not None:
        env["HOME"] = identity.home or "/"
    env |= variables_of(request.env)
    variables = tuple(f"{name}={value}" for name, value in env.items())
    return replace(spec.process, args=request.args, env=variables, cwd=request.cwd or spec.process.cwd)


def _wait(child: int) -> NoReturn:
    """Passes signals to the program until it ends."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            os._exit(exit_code(status))
        number = signal.sigwait({*_PASSED, signal.SIGCHLD})
        if number != signal.SIGCHLD:
            with suppress(ProcessLookupError):
                os.kill(child, number)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
