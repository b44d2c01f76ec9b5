"""Locks by key: work for one key is done by one thread, and the others wait and use the result."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

POLL = 0.1
"""Seconds between two looks at whether to go on waiting."""


class KeyedLock:
    """Locks by key. A lock exists only while a thread holds it or waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[Hashable, tuple[threading.Lock, list[None]]] = {}

    @contextmanager
    def hold(self, key: Hashable, check: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Waits for the lock of this key and holds it.

        Args:
            key: What is locked.
            check: Called while waiting; it raises to end the wait.
        """
        with self._lock:
            lock, users = self._locks.setdefault(key, (threading.Lock(), []))
            users.append(None)
        try:
            while not lock.acquire(timeout=POLL):
                check()
            try:
                yield
            finally:
                lock.release()
        finally:
            with self._lock:
                users.pop()
                if not users:
                    del self._locks[key]
