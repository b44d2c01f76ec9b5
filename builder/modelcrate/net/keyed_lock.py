"""One at a time for each key: who wants what another is making waits, and finds it made."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

LOOK = 0.1
"""Seconds after which who waits looks whether it still shall."""


class KeyedLock:
    """Locks by key, kept only as long as somebody holds or wants them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: dict[Hashable, tuple[threading.Lock, list[None]]] = {}

    @contextmanager
    def taken(self, key: Hashable, check: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Wait for the turn, and hold it; `check` raises where it is not to be waited for any longer."""
        with self._lock:
            turn, wanting = self._turns.setdefault(key, (threading.Lock(), []))
            wanting.append(None)
        try:
            while not turn.acquire(timeout=LOOK):
                check()
            try:
                yield
            finally:
                turn.release()
        finally:
            with self._lock:
                wanting.pop()
                if not wanting:
                    del self._turns[key]
