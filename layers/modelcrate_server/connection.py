"""One client's connection: its socket, the requests that are read from it, and the bytes that it has not taken yet."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from .reading import RequestReader

READING, WORKING, CLOSING, CLOSED = "reading", "working", "closing", "closed"
"""A request is read; one is being answered; the last answer was given; the socket is closed."""


class ClientGoneError(OSError):
    """The client closed its connection before it had its answer."""


class Connection:
    """A client. Two threads use it: `send` and `finish` are for the one that answers, the rest is the network thread's.

    From `begin` to `finish` the network thread does not read from it, and only sends what the client was too slow to take. The lock
    guards `state` and the unsent bytes.

    Args:
        sock: The client's socket, which does not block.
        reader: Takes requests out of what arrives.
        wake: Makes the network thread look at this connection.
        buffered: The unsent bytes from which on `send` waits for the client.
    """

    def __init__(
        self, sock: socket.socket, reader: RequestReader, wake: Callable[[Connection], None], buffered: int
    ) -> None:
        self.sock, self.reader = sock, reader
        self.state = READING
        self.since = time.monotonic()
        """When it began to wait for a request, or when the request began to arrive."""
        self.progress = self.since
        """When the client last sent or took something."""
        self.answered = 0
        self.large = False
        """Its body is large: it holds or waits for one of the few turns of such bodies."""
        self.watched = 0
        """The events for which the network thread watches the socket."""
        self._wake, self._buffered = wake, buffered
        self._unsent = bytearray()
        self._unread = False
        self._lock = threading.Condition()

    @property
    def unsent(self) -> bool:
        """Whether the client has not taken everything yet."""
        return bool(self._unsent)

    def begin(self) -> None:
        """A request was read: until `finish` the connection belongs to the thread that answers."""
        self.state, self._unread = WORKING, False

    def send(self, data: bytes, waiting: Callable[[], object] = lambda: None) -> None:
        """Sends bytes of an answer, or leaves them to the network thread when the client is slow.

        Waits while too much is unsent, and calls `waiting` about once a second meanwhile.

        Raises:
            ClientGoneError: The client can't have them any more.
        """
        with self._lock:
            while len(self._unsent) > self._buffered and self.state != CLOSED:
                self._lock.wait(1)
                waiting()
            if self.state == CLOSED:
                raise ClientGoneError("the connection is closed")
            sent = 0 if self._unsent else self._send_some(data)
            if sent == len(data):
                return
            self._unsent += memoryview(data)[sent:]
        self._wake(self)

    def finish(self, keep: bool, last: bool = False) -> None:
        """Ends an answer. The connection waits for another request, or ends when the client has taken everything.

        Args:
            keep: The client may send another request.
            last: The client has promised to send nothing more, so its socket can be closed without waiting for it to close first.
        """
        with self._lock:
            if self.state != CLOSED:
                self.state = READING if keep else CLOSING
                if last and not self._unsent and not self.reader.begun:
                    self.state = CLOSED
            self.answered += 1
            self.since = self.progress = time.monotonic()
            if self.state == CLOSING and not self._unsent:
                self._end_output()
            attention = (
                self.state == CLOSED
                or not self.watched
                or self._unread
                or self._unsent
                or self.large
                or self.reader.begun
            )
        if attention:
            self._wake(self)

    def flush(self) -> bool:
        """Sends unsent bytes; returns whether there are none left. The state is CLOSED afterwards when the client is gone."""
        with self._lock:
            if self._unsent:
                try:
                    del self._unsent[: self._send_some(self._unsent)]
                except ClientGoneError:
                    return True
                self._lock.notify()
                if self.state == CLOSING and not self._unsent:
                    self._end_output()
            return not self._unsent

    def leave_unread(self) -> bool:
        """Returns whether a request is being answered; then what arrives is read after `finish`."""
        with self._lock:
            self._unread = self.state == WORKING
            return self._unread

    def close(self) -> None:
        """Closes the socket; a thread that waits in `send` ends with ClientGoneError."""
        with self._lock:
            self.state = CLOSED
            self._unsent.clear()
            self._lock.notify()
        self.sock.close()

    def break_off(self) -> None:
        """Ends the connection in the middle of an answer, so that the client sees that something is missing."""
        with self._lock:
            self.state = CLOSED
            self._unsent.clear()

    def _send_some(self, data: Any) -> int:
        try:
            sent = self.sock.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            self.state = CLOSED
            self._unsent.clear()
            raise ClientGoneError(str(error)) from error
        self.progress = time.monotonic()
        return sent

    def _end_output(self) -> None:
        with contextlib.suppress(OSError):  # the client was faster
            self.sock.shutdown(socket.SHUT_WR)
