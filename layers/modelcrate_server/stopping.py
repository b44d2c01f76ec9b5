"""How a signal ends the process while the entry script has the main thread."""

from __future__ import annotations

import atexit
import os
import signal
from types import FrameType

CLEANUP_SECONDS = 1
"""How long the script may take to end after SIGTERM."""


class Stopped(SystemExit):  # an exit, not an error
    """The process has to end. The script's own code is passed through, so that its `finally` blocks run."""


def stop_at_once() -> None:
    """Makes SIGTERM and SIGINT end this process: no request was taken yet, so there is nothing to wait for."""
    # the last of all exit functions: Python then takes its handlers away, and an alarm would kill the process
    atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def stop(number: int, frame: FrameType | None) -> None:
    """Ends the main thread by `Stopped`, as soon as its current call returns; a script that goes on is ended by force."""
    signal.signal(signal.SIGALRM, lambda number, frame: os._exit(0))
    signal.setitimer(signal.ITIMER_REAL, CLEANUP_SECONDS)
    raise Stopped(0)
