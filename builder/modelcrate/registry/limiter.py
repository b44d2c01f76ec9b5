"""How many uploads run at once: half as many after a failure, one more after ten successes (AIMD)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

SUCCESSES = 10
"""Successes in a row after which one more upload may run."""


class AdaptiveLimiter:
    """Lets at most `limit` threads run at once. Not frozen: the limit follows what the registry can take."""

    def __init__(self, limit: int) -> None:
        self._most = self._limit = max(1, limit)
        self._running = self._successes = 0
        self._change = threading.Condition()

    @property
    def limit(self) -> int:
        """The number of uploads that may run now."""
        with self._change:
            return self._limit

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Waits for a free slot and holds it."""
        with self._change:
            self._change.wait_for(lambda: self._running < self._limit)
            self._running += 1
        try:
            yield
        finally:
            with self._change:
                self._running -= 1
                self._change.notify_all()

    def failed(self) -> None:
        """Halves the limit: the registry refused for now, lost a session, or fell silent."""
        with self._change:
            self._limit, self._successes = max(1, self._limit // 2), 0

    def succeeded(self) -> None:
        """Counts a success; after enough of them the limit rises by one."""
        with self._change:
            self._successes += 1
            if self._successes >= SUCCESSES and self._limit < self._most:
                self._limit, self._successes = self._limit + 1, 0
                self._change.notify_all()
