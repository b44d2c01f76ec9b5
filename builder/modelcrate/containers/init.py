"""The first process of a container without a runtime: enters, gives up its rights, starts the program, and looks after it.

It stays as the program's parent, because process 1 of a namespace is deaf to signals that it doesn't handle: signals that it gets are
handed on, orphans are reaped, and it ends as the program ends (128 + N where a signal N ended it).
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
from modelcrate.containers.spec import SupervisorSpec
from modelcrate_layers.errors import MachineError, UserError

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
"""Capabilities of a program that runs as root (capabilities(7)): those for files and processes of its own, none for the machine. Of Docker's
list, raw sockets, devices, file capabilities, audit and chroot are left out: a model server has no use for them."""

_MASK = sum(1 << number for number in KEPT.values())
_PROGRAM = b"P"
_MACHINE = b"M"


def start_inside(spec: SupervisorSpec, log: int, enter: Callable[[], None]) -> int:
    """Forks a process that calls `enter`, drops its rights and starts the program; gives its pid once the program runs.

    UserError where the program can't be executed, MachineError where `enter` fails. Call it from a process with one thread.
    """
    status, tell = os.pipe()
    alive, life = os.pipe()  # `life` is ours alone and never closed: its end tells the child that we have died
    child = os.fork()
    if not child:
        os.close(life)
        _inside(spec, log, enter, tell, alive)
    os.close(tell)
    os.close(alive)
    with os.fdopen(status, "rb") as reader:
        fault = reader.read(4096)
    if fault:
        os.waitpid(child, 0)
        os.close(life)
        words = fault[1:].decode("utf-8", "replace")
        raise UserError(words) if fault[:1] == _PROGRAM else MachineError(words)
    return child


def _inside(spec: SupervisorSpec, log: int, enter: Callable[[], None], tell: int, alive: int) -> NoReturn:
    kind = _MACHINE
    try:
        signals = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
        signal.pthread_sigmask(signal.SIG_SETMASK, signals)
        os.setsid()
        _streams(log, tell, alive)
        enter()
        _drop(spec.identity, spec.rootless)
        linux.close_to_others()  # or the program could reach our interpreter, a file of the machine, as /proc/1/exe
        linux.die_with_parent(signal.SIGKILL)
        if select.select([alive], [], [], 0)[0]:
            os._exit(1)  # the supervisor died before we asked to die with it
        os.close(alive)
        program = os.fork()
        if not program:
            kind = _PROGRAM
            _exec(spec)
        os.close(tell)
        _look_after(program, signals)
    except BaseException as fault:  # nothing may get past here: this is a fork of the supervisor
        os.write(tell, kind + (_words(fault, spec) if kind == _PROGRAM else str(fault)).encode()[:2000])
    finally:
        os._exit(1)


def _streams(log: int, *kept: int) -> None:
    """Nothing in, both outputs to the log, and no other descriptor but those `kept`."""
    nothing = os.open("/dev/null", os.O_RDONLY)
    for target, source in enumerate((nothing, log, log)):
        os.dup2(source, target)
    last = 3
    for fd in (*sorted(kept), 1 << 16):
        os.closerange(last, fd)
        last = fd + 1


def _drop(identity: Identity, rootless: bool) -> None:
    """From root (of the machine, or of a user namespace) to the container's user. There is no way back."""
    linux.bound_capabilities(_MASK)
    held = linux.capabilities()
    if not rootless:
        os.setgroups([])
    os.setresgid(identity.gid, identity.gid, identity.gid)
    os.setresuid(identity.uid, identity.uid, identity.uid)
    linux.no_new_privileges()
    linux.set_capabilities(held & _MASK if identity.uid == 0 else 0)


def _exec(spec: SupervisorSpec) -> NoReturn:
    os.setsid()
    linux.die_with_parent(signal.SIGKILL)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores these two
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.umask(0o022)
    os.chdir(spec.process.cwd)
    env = dict(entry.split("=", 1) for entry in spec.process.env)
    os.execvpe(spec.process.args[0], spec.process.args, env)  # noqa: S606 - the very point; there is no shell


def _words(fault: BaseException, spec: SupervisorSpec) -> str:
    why = fault.strerror if isinstance(fault, OSError) else str(fault)
    return f"can't start {spec.process.args[0]!r} in {spec.process.cwd} of the image as {spec.identity.uid}: {why}"


def _look_after(program: int, signals: set[signal.Signals]) -> NoReturn:
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
    """A wait status as shells show it: 128 + N where signal N ended the process."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
