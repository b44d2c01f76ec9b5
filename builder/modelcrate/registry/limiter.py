"""How many uploads run at once: halved when the registry groans, one more after ten that went well (AIMD)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

GOOD_IN_A_ROW = 10


class AdaptiveLimiter:
    """A door that lets at most `limit` through. Not frozen: the limit follows what the registry bears."""

    def __init__(self, limit: int) -> None:
        self._most = self._limit = max(1, limit)
        self._inside = self._good = 0
        self._change = threading.Condition()

    @property
    def limit(self) -> int:
        """How many may be inside now."""
        with self._change:
            return self._limit

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Wait for room, and hold it."""
        with self._change:
            self._change.wait_for(lambda: self._inside < self._limit)
            self._inside += 1
        try:
            yield
        finally:
            with self._change:
                self._inside -= 1
                self._change.notify_all()

    def groaned(self) -> None:
        """The registry said "too many", lost a session, or fell silent."""
        with self._change:
            self._limit, self._good = max(1, self._limit // 2), 0

    def went_well(self) -> None:
        """One more request without complaint."""
        with self._change:
            self._good += 1
            if self._good >= GOOD_IN_A_ROW and self._limit < self._most:
                self._limit, self._good = self._limit + 1, 0
                self._change.notify_all()
