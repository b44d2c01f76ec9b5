"""Handles Ctrl-C and similar signals.

The first signal ends the work: in the main thread at once, in other threads at their next event. A second signal ends the process.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
ENDING = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))
"""The signals that end a command. Windows has no SIGHUP, but SIGBREAK, for Ctrl-Break."""

GRACE = 10.0
"""Seconds that other threads have to end: one may be waiting for a server that does not respond."""


class Interrupted(KeyboardInterrupt):
    """A signal that ends the process. `exit_code` is 128 and the signal's number, as in shells."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


@contextmanager
def handle_interrupts(cancel: Callable[[], None]) -> Iterator[None]:
    """Makes signals call `cancel` and raise Interrupted. Outside the main thread it does nothing.

    SIGINT is handled even if it was ignored, as in processes that a shell starts in the background: it is sent on purpose.

    Raises:
        Interrupted: A signal arrived.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    timers: list[threading.Timer] = []

    def end(number: int, frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        cancel()
        timers.append(threading.Timer(GRACE, _give_up, (128 + number,)))
        timers[0].daemon = True
        timers[0].start()
        raise Interrupted(number)

    by_nohup = {each for each in ENDING if each.name == "SIGHUP" and signal.getsignal(each) is signal.SIG_IGN}
    before = {each: signal.signal(each, end) for each in ENDING if each not in by_nohup}
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


def _give_up(code: int) -> None:
    """Ends the process. No incomplete files are left, because files get their names when they are complete."""
    sys.stderr.write("interrupted; a thread did not end in time\n")
    sys.stderr.flush()
    os._exit(code)
