"""Other processes: named by pid, boot and start time, so that a pid that was given to another process later is never mistaken; or found."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from pathlib import Path

from modelcrate.containers.interpreter import module_arguments
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.patterns import compile_later

_POLL = 0.05
"""Seconds between two looks, on kernels without pidfd_open (before 5.3, and some sandboxes)."""

_ROUNDS = 1000
"""How often dying processes are looked for: they may have been forking."""


_OWN = compile_later(r"(.+)-([0-9]{1,10})-[0-9]{9,}")
"""A name of `own_name`: what it is, which process gave it, and when."""


def own_name(begin: str) -> str:
    """Returns a name that no other process gives, and that says which process gave it.

    Args:
        begin: Its beginning, which says what has it.
    """
    return f"{begin}-{os.getpid()}-{time.monotonic_ns()}"


def is_leftover(name: str, *begins: str) -> bool:
    """Returns whether a name is one that `own_name` made of one of these beginnings, in a process that has ended."""
    found = _OWN.fullmatch(name)
    return found is not None and found[1] in begins and not Path("/proc", found[2]).exists()


@dataclass(frozen=True, slots=True)
class ProcessId:
    """One process of one boot. `started` is the boot's id and the start time in ticks (proc(5), stat, field 22)."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        """Returns the process that has this pid now. One that has gone gets a start time that no process has."""
        return cls(pid, _started(pid))

    @classmethod
    def own(cls) -> ProcessId:
        """Returns the calling process."""
        return cls.of(os.getpid())

    def alive(self) -> bool:
        """Returns whether it still runs; a zombie doesn't."""
        return bool(self.started) and _started(self.pid) == self.started

    def signal(self, number: int) -> bool:
        """Sends a signal to this process and no other, and returns whether the process still ran."""
        fd = _pidfd(self.pid)
        try:
            if not self.alive():
                return False
            with suppress(ProcessLookupError):
                if fd >= 0:
                    signal.pidfd_send_signal(fd, number)
                else:
                    os.kill(self.pid, number)
                return True
            return False
        finally:
            if fd >= 0:
                os.close(fd)

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until it has ended, at most `timeout` seconds, and returns whether it has."""
        deadline = None if timeout is None else time.monotonic() + timeout
        fd = _pidfd(self.pid)
        try:
            while self.alive():
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                if fd < 0:
                    time.sleep(_POLL if left is None else min(left, _POLL))
                    continue
                poll = select.poll()
                poll.register(fd, select.POLLIN)
                if poll.poll(None if left is None else left * 1000):
                    return True  # ended; a zombie of ours would still be in /proc
            return True
        finally:
            if fd >= 0:
                os.close(fd)


def processes_in(rootfs: Path) -> list[ProcessId]:
    """Returns the processes whose root is this folder, in this or another mount namespace, oldest first. Zombies have no root any more."""
    found: list[tuple[int, ProcessId]] = []
    with suppress(FileNotFoundError):
        wanted = rootfs.stat()
        for pid in _pids():
            with suppress(OSError):
                if os.path.samestat(os.stat(f"/proc/{pid}/root"), wanted) and (process := ProcessId.of(pid)).started:
                    found.append((int(process.started.rpartition(":")[2]), process))
    return [process for _, process in sorted(found, key=lambda each: (each[0], each[1].pid))]


def end_processes_in(rootfs: Path) -> None:
    """Kills every process whose root is this folder, until there is none."""
    for _ in range(_ROUNDS):
        found = processes_in(rootfs)
        for process in found:
            process.signal(signal.SIGKILL)
        if not found:
            return


def process_of_module(name: str, *arguments: str) -> ProcessId | None:
    """Returns the process that `interpreter.start_module` started with this module and these first arguments, if it runs."""
    wanted = [os.fsencode(argument) for argument in arguments]
    for pid in _pids():
        with suppress(OSError):
            held = module_arguments(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"), name)
            if held is None or list(held[: len(wanted)]) != wanted or _elsewhere(pid):
                continue
            if (process := ProcessId.of(pid)).started:
                return process
    return None


def _elsewhere(pid: int) -> bool:
    """Whether a process has another root than this one: a program of a container can give itself any command line."""
    try:
        return not os.path.samestat(os.stat(f"/proc/{pid}/root"), os.stat("/"))
    except PermissionError:  # a supervisor in a user namespace is closed to the ordinary user that started it
        return False


def parent_of(pid: int) -> int:
    """Returns the pid of a process's parent; 0 where there is no such process."""
    return int(fields[1]) if (fields := _stat(pid)) else 0


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on (proc(5)); none where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _pidfd(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except OSError:
        return -1


def _started(pid: int) -> str:
    """The start of a living process; nothing for one that is gone, or a zombie."""
    fields = _stat(pid)
    if not fields or fields[0] in "ZXx":
        return ""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
    return f"{boot}:{fields[19]}"
