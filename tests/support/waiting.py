"""How long tests wait: one limit against hanging, far above what any step takes, because many processes may share the machine."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

HANG = 600.0
"""Seconds after which a process, a server or an answer counts as hung. No test measures time with it."""


def until(condition: Callable[[], object], what: str = "the condition", pause: float = 0.02) -> None:
    """Waits until a condition holds.

    Args:
        condition: Is called again and again; it holds when it returns something true.
        what: Names the condition in the failure's message.
        pause: Seconds between two calls.

    Raises:
        AssertionError: The condition does not hold after `HANG` seconds.
    """
    deadline = time.monotonic() + HANG
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about in {HANG:g} seconds"
        time.sleep(pause)


@contextmanager
def processor_limit(seconds: float, what: str = "the block") -> Iterator[None]:
    """Ends the block with a failure when this process has used more processor time than that; other processes do not count.

    For code in Python or in `re`, in the main thread: both look for signals while they run.

    Args:
        seconds: User time of this process, all threads together (ITIMER_VIRTUAL, setitimer(2)).
        what: Names the block in the failure's message.

    Raises:
        AssertionError: The time is used up.
    """

    def end(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"{what} took more than {seconds:g} seconds of processor time")

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
