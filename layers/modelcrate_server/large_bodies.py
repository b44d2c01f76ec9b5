"""Large bodies of requests: only a few are read at once, so that many clients can't fill the memory."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable

from .connection import Connection
from .limits import Limits


class LargeBodies:
    """Whose turn it is to send a large body.

    Args:
        limits: From which size on a body is large, and how many of them are read at once.
        proceed: Reads on from a client whose turn has come; returns False for one that is gone.
    """

    def __init__(self, limits: Limits, proceed: Callable[[Connection], bool]) -> None:
        self._limits, self._proceed = limits, proceed
        self._reading: set[Connection] = set()
        self._waiting: collections.deque[Connection] = collections.deque()

    def may_send(self, connection: Connection) -> bool:
        """Returns whether the server reads what the client sends: a large body may have to wait."""
        return not connection.large or connection in self._reading

    def has_turn(self, connection: Connection) -> bool:
        """Returns the same, after more of a body has come: it may be a large one now."""
        if not connection.large and connection.reader.body_size >= self._limits.large_body:
            connection.large = True
            self._waiting.append(connection)
            self._give_turns()
        return self.may_send(connection)

    def release(self, connection: Connection) -> None:
        """Gives the turn of a large body to the next one."""
        if connection.large:
            connection.large = False
            self._reading.discard(connection)
            self._give_turns()

    def _give_turns(self) -> None:
        while self._waiting and len(self._reading) < self._limits.large_bodies:
            following = self._waiting.popleft()
            self._reading.add(following)
            following.since = following.progress = time.monotonic()
            if not self._proceed(following):
                self._reading.discard(following)
