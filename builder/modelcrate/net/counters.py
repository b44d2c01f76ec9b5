"""Requests and bytes, counted where they leave and arrive. Safe for threads."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

from modelcrate_layers.frozen import dataclass, field


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests by method (those to token servers as TOKEN), and bytes of bodies in both directions."""

    requests: Mapping[str, int] = field(default_factory=dict)
    sent: int = 0
    received: int = 0

    @property
    def total(self) -> int:
        """The number of all requests."""
        return sum(self.requests.values())


class Counters:
    """The counts of one client, or of a part of its work, which is counted by its `parent` as well. Counting changes it."""

    def __init__(self, parent: Counters | None = None) -> None:
        self._lock, self._parent = threading.Lock(), parent
        self._requests: Counter[str] = Counter()
        self._sent = self._received = 0

    def request(self, verb: str) -> None:
        """Counts a request."""
        with self._lock:
            self._requests[verb] += 1
        if self._parent:
            self._parent.request(verb)

    def sent(self, size: int) -> None:
        """Counts bytes that were sent."""
        with self._lock:
            self._sent += size
        if self._parent:
            self._parent.sent(size)

    def received(self, size: int) -> None:
        """Counts bytes that were received."""
        with self._lock:
            self._received += size
        if self._parent:
            self._parent.received(size)

    def read(self) -> Traffic:
        """Returns the counts as they are now."""
        with self._lock:
            return Traffic(dict(self._requests), self._sent, self._received)
