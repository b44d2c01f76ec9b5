"""What clients may take of the server, and when they have taken too long. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from .connection import CLOSING, READING, Connection


@dataclass(frozen=True)
class Limits:
    """What clients may take. Times are in seconds, sizes in bytes."""

    client_timeout: float
    """For a head, and for silence within a body. 0 waits for ever, as the original does."""
    keep_alive: float = 75
    """Between two requests. Usual load balancers give up after 60, and should be the first to close."""
    stalled: float = 300
    """For a client that takes nothing of its answer."""
    linger: float = 2
    """For a client to close after its last answer: closing first could destroy the answer on its way."""
    drain: float = 5
    """For a request that is still arriving when the server ends."""
    connections: int = 1000
    """At once. One more closes the one that has been without a request for longest."""
    body_rate: float = 1024
    """A second, which a body must reach on average once `client_timeout` is over."""
    large_body: int = 1 << 20
    """From this size on only a few bodies are read at once, so that many clients can't fill the memory."""
    large_bodies: int = 4
    buffered: int = 1 << 20
    """Of a streamed answer, before run() has to wait for its client."""

    def is_late(self, connection: Connection, now: float, stopping: float, may_send: bool) -> bool:
        """Returns whether a connection has to end.

        Args:
            connection: The connection.
            now: The present time (`time.monotonic`).
            stopping: When the server began to end; 0 before that.
            may_send: The server reads what the client sends.
        """
        reader = connection.reader
        silence, age = now - connection.progress, now - connection.since
        if connection.unsent:
            return silence > self.stalled
        if connection.state != READING:
            return connection.state == CLOSING and age > self.linger
        if stopping:
            if reader.begun:
                return now - stopping > self.drain
            return connection.answered > 0 or now - stopping > self.linger
        if connection.answered and not reader.begun:
            return age > self.keep_alive
        if not self.client_timeout or not may_send:
            return False
        if reader.in_body:
            due = (age - self.client_timeout) * self.body_rate
            return silence > self.client_timeout or reader.received_size < due
        return age > self.client_timeout
