"""Ctrl-C and its kin. The first one ends the work: in this thread at once, in the others at their next event. A second one ends the process."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

GRACE = 10.0
"""Seconds that other threads have to come to an end: one may be waiting for a server that has fallen silent."""


class Interrupted(KeyboardInterrupt):
    """A signal that asked us to end."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


@contextmanager
def handle_interrupts(cancel: Callable[[], None]) -> Iterator[None]:
    """While inside, a signal that means the end calls `cancel` and raises Interrupted. Outside the main thread, signals are left alone.

    SIGINT is heeded even where it was ignored, as shells have it for what they start in the background: who sends it means it.
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

    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # by nohup, which is to be obeyed
    before = {each: signal.signal(each, end) for each in ENDING if not (ignored and each == signal.SIGHUP)}
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


def _give_up(code: int) -> None:
    """Nothing is left behind: files have no name until they are whole."""
    sys.stderr.write("interrupted; something did not end in time and was cut off\n")
    sys.stderr.flush()
    os._exit(code)
