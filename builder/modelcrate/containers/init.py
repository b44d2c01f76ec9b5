"""The first process of a container without a runtime: enters, gives up its rights, starts the program, and waits for it.

It stays as the program's parent, because the kernel gives process 1 of a namespace no signal that it doesn't handle. It passes signals on to
the program, reaps orphans, and ends as the program ends (128 + N after signal N).
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NoReturn

from modelcrate.containers import linux
from modelcrate.containers.identity import Identity
from modelcrate.containers.process import Process, variables_of
from modelcrate.containers.seccomp import filter_program
from modelcrate.containers.spec import SupervisorSpec
from modelcrate_layers.errors import CrateError, MachineError, UserError

KEPT: Mapping[str, int] = MappingProxyType(
    {
        "CAP_CHOWN": 0,
        "CAP_DAC_OVERRIDE": 1,
        "CAP_FOWNER": 3,
        "CAP_FSETID": 4,
        "CAP_KILL": 5,
        "CAP_SETGID": 6,
        "CAP_SETUID": 7,
        "CAP_SETPCAP": 8,
        "CAP_NET_BIND_SERVICE": 10,
    }
)
"""Capabilities of a program that runs as root (capabilities(7)): those for files and processes of its own, none for the machine. Docker also
gives those for raw sockets, devices, file capabilities, audit and chroot, which a model server has no use for."""

_MASK = sum(1 << number for number in KEPT.values())
_PROGRAM = b"P"
_MACHINE = b"M"


def start_inside(spec: SupervisorSpec, log: int, enter: Callable[[], None]) -> int:
    """Forks a process that calls `enter`, drops its rights and starts the program. Call it from a process with one thread.

    Args:
        spec: the container.
        log: the descriptor that gets both outputs.
        enter: makes the container's file system the root; it may raise OSError and MachineError.

    Returns:
        The pid of the first process, once the program runs.

    Raises:
        UserError: the program can't be executed.
        MachineError: `enter` failed.
    """
    status, report = os.pipe()
    alive, life = os.pipe()  # `life` is never closed: its end shows the child that the supervisor has died
    child = os.fork()
    if not child:
        os.close(life)
        _first_process(spec, log, enter, report, alive)
    os.close(report)
    os.close(alive)
    try:
        read_report(status)
    except CrateError:
        os.waitpid(child, 0)
        os.close(life)
        raise
    return child


def read_report(status: int) -> None:
    """Waits until the other end of a pipe is closed, as an exec does, and raises the fault that was written to it."""
    with os.fdopen(status, "rb") as reader:
        fault = reader.read(4096)
    if fault:
        text = fault[1:].decode("utf-8", "replace")
        raise UserError(text) if fault[:1] == _PROGRAM else MachineError(text)


def report_fault(report: int, fault: BaseException) -> None:
    """Writes what `read_report` raises as a MachineError."""
    os.write(report, (_MACHINE + str(fault).encode(errors="replace"))[:2000])


def _first_process(spec: SupervisorSpec, log: int, enter: Callable[[], None], report: int, alive: int) -> NoReturn:
    try:
        signals = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
        signal.pthread_sigmask(signal.SIG_SETMASK, signals)
        os.setsid()
        nothing = os.open("/dev/null", os.O_RDONLY)
        keep_descriptors((nothing, log, log), report, alive)
        enter()
        drop_rights(spec.identity, spec.rootless)
        linux.close_to_others()  # or the program could reach our interpreter as /proc/1/exe
        linux.die_with_parent(signal.SIGKILL)
        if select.select([alive], [], [], 0)[0]:
            os._exit(1)  # the supervisor died before the line above
        os.close(alive)
        program = os.fork()
        if not program:
            os.setsid()
            linux.die_with_parent(signal.SIGKILL)
            execute(spec.process, spec.identity, report)
        os.close(report)
        _pass_signals(program, signals)
    except BaseException as fault:  # nothing may get past here: this is a fork of the supervisor
        report_fault(report, fault)
    finally:
        os._exit(1)


def keep_descriptors(streams: tuple[int, int, int], *kept: int) -> None:
    """Makes `streams` the standard streams, and closes every other descriptor but those `kept`."""
    for target, source in enumerate(streams):
        os.dup2(source, target)
    last = 3
    for fd in (*sorted(kept), 1 << 16):
        os.closerange(last, fd)
        last = fd + 1


def drop_rights(identity: Identity, rootless: bool) -> None:
    """Goes from root (of the machine, or of a user namespace) to the container's user. There is no way back."""
    linux.bound_capabilities(_MASK)
    held = linux.capabilities()
    if not rootless:
        os.setgroups([])
    os.setresgid(identity.gid, identity.gid, identity.gid)
    os.setresuid(identity.uid, identity.uid, identity.uid)
    linux.no_new_privileges()
    linux.set_capabilities(held & _MASK if identity.uid == 0 else 0)


def execute(process: Process, identity: Identity, report: int) -> NoReturn:
    """Becomes the program, under the system call filter. A fault is written to `report`, which the exec closes otherwise."""
    try:
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores these two
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.umask(0o022)
        os.chdir(process.cwd)
        _filter_system_calls()
        os.execvpe(process.args[0], process.args, variables_of(process.env))  # noqa: S606 - this is what we are here for; there is no shell
    except BaseException as fault:
        why = fault.strerror if isinstance(fault, OSError) else str(fault)
        text = f"can't start {process.args[0]!r} in {process.cwd} of the image as {identity.uid}: {why}"
        os.write(report, (_PROGRAM + text.encode(errors="replace"))[:2000])
    finally:
        os._exit(1)


def _filter_system_calls() -> None:
    program = filter_program(os.uname().machine)
    if program is None:
        raise MachineError(f"no system call filter is known for {os.uname().machine}")
    linux.install_filter(program)


def _pass_signals(program: int, signals: set[signal.Signals]) -> NoReturn:
    while True:
        number = signal.sigwait(signals)
        if number != signal.SIGCHLD:
            os.kill(program, number)
            continue
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == program:
                os._exit(exit_code(status))
            if not pid:
                break


def exit_code(status: int) -> int:
    """Returns a wait status as shells show it: 128 + N where signal N ended the process."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
