"""How long run() takes, and the alarm that ends it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopwatch:
    """Measures the time since it was made."""

    def __init__(self) -> None:
        self._started = time.perf_counter()

    @property
    def elapsed_ms(self) -> float:
        """The milliseconds since it was made."""
        return (time.perf_counter() - self._started) * 1000


@contextmanager
def deadline(milliseconds: int) -> Iterator[None]:
    """Raises TimeoutError inside the block after this time; 0 means never.

    Python handles signals in the main thread only, so in another thread there is no limit.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, _ring)
    signal.setitimer(signal.ITIMER_REAL, milliseconds / 1000)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _ring(number: int, frame: FrameType | None) -> None:
    raise TimeoutError
