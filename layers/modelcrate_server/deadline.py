"""How long run() takes, and the alarm that ends it."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal.getsignal` makes a member of an enumeration each time
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

    In the main thread a signal does it. In another one `end_late` has to be called now and then, and the block ends when its current
    call returns to Python.
    """
    if threading.current_thread() is not threading.main_thread():
        with _watched(milliseconds):
            yield
        return
    if not milliseconds:
        yield
        return
    before = _signal.getsignal(signal.SIGALRM)
    if before is not _ring:
        signal.signal(signal.SIGALRM, _ring)
    signal.setitimer(signal.ITIMER_REAL, milliseconds / 1000)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if before not in (_ring, signal.SIG_DFL):  # the script's own; else ours stays, which nothing rings
            signal.signal(signal.SIGALRM, before)


def end_late() -> float | None:
    """Raises TimeoutError in each thread whose time is over; returns the seconds until the next one's is, or None."""
    now = time.monotonic()
    with _lock:
        for thread, until in list(_until.items()):
            if until <= now:
                del _until[thread]
                _rung.add(thread)
                _raise_in(thread, TimeoutError)
        return min(_until.values(), default=now) - now if _until else None


_until: dict[int, float] = {}
"""The threads in a block with a deadline, and when their time is over."""
_rung: set[int] = set()
"""Those in which TimeoutError was raised, and whose block has not ended yet."""
_lock = threading.Lock()


@contextmanager
def _watched(milliseconds: int) -> Iterator[None]:
    if not milliseconds:
        yield
        return
    thread = threading.get_ident()
    with _lock:
        _until[thread] = time.monotonic() + milliseconds / 1000
    try:
        yield
    finally:
        with _lock:
            _until.pop(thread, None)
            if thread in _rung:
                _rung.discard(thread)
                _raise_in(thread, None)  # what was not raised yet must not end another request


def _raise_in(thread: int, kind: type[BaseException] | None) -> None:
    import ctypes  # late: only servers with threads need it

    what = None if kind is None else ctypes.py_object(kind)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), what)


def _ring(number: int, frame: FrameType | None) -> None:
    raise TimeoutError
