"""Other processes, named so that a number that was given again is never mistaken for them: by pid, boot and start time."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from pathlib import Path

from modelcrate_layers.frozen import dataclass

_POLL = 0.05
"""Seconds between two looks, on kernels without pidfd_open (before 5.3, and some sandboxes)."""


@dataclass(frozen=True, slots=True)
class ProcessId:
    """One process of one boot. `started` is the boot's id and the start time in ticks (proc(5), stat, field 22)."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        """The process that has this pid now; one that can't be seen any more gets a start time that no process has."""
        return cls(pid, _started(pid))

    @classmethod
    def own(cls) -> ProcessId:
        return cls.of(os.getpid())

    def alive(self) -> bool:
        """Whether it still runs; a zombie doesn't."""
        return bool(self.started) and _started(self.pid) == self.started

    def signal(self, number: int) -> bool:
        """Sends a signal to this process and no other; whether it was there to get it."""
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
        """Waits until it has ended, at most `timeout` seconds; whether it has."""
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


def _pidfd(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except OSError:
        return -1


def _started(pid: int) -> str:
    """The start of a living process; nothing for one that is gone, or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
    return "" if fields[0] in "ZXx" else f"{boot}:{fields[19]}"
