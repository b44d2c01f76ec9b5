"""The clients of a worker: accepts connections, reads requests, answers probes, and sends what slow clients have not taken yet.

Sockets do not block, and nothing here waits for one client. Whichever thread looks after the clients has the turn (see `network`).
"""

from __future__ import annotations

import collections
import logging
import os
import selectors
import socket
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from .answering import HttpWork, refuse
from .app import ScoringApp
from .connection import CLOSED, CLOSING, READING, ClientGoneError, Connection
from .fixed_settings import FixedSettings
from .large_bodies import LargeBodies
from .limits import Limits
from .listeners import Listeners
from .reading import BadRequestError, RequestReader
from .work import Work

_log = logging.getLogger("azmlinfsrv")

_RECEIVE = 262_144
"""The bytes that are read from a client at once."""
_HESITATION = 0.05
"""How long one of several workers waits for the request of a new connection before it accepts another one."""


class Clients:
    """All connections of one worker, and the requests of theirs that wait for the script.

    Args:
        app: Answers the requests.
        cfg: Gunicorn's configuration.
        listeners: The sockets that the master process has opened.
        limits: What clients may take.
        always: Ports that accept connections at any time, even where several workers share the others.
        signals: The end of a pipe that has a byte for each signal of this process.
        wake: Makes whoever has the turn look at the connections that need it.
    """

    def __init__(
        self,
        app: ScoringApp,
        cfg: Any,
        listeners: Sequence[Any],
        limits: Limits,
        always: Collection[int],
        signals: int,
        wake: Callable[[], None],
    ) -> None:
        self._app, self._limits, self._signals, self._ring = app, limits, signals, wake
        self._cfg = FixedSettings(cfg)
        # where another worker may be free, a busy one accepts nothing, and no client keeps its connection to one of them
        self._shared = cfg.workers > 1
        self._connections: set[Connection] = set()
        self._newest: tuple[Connection | None, float] = None, 0.0
        self._bodies = LargeBodies(limits, self._proceed)
        self._attention: collections.deque[Connection] = collections.deque()
        self._selector = selectors.DefaultSelector()
        self._listeners = Listeners(listeners, always, self._shared, self._selector)
        self._swept = 0.0
        self._full = False
        self._received = memoryview(bytearray(_RECEIVE))  # a new one each time would cost system calls
        self.work: collections.deque[Work] = collections.deque()
        """The requests that wait for the script."""
        self.stopping = 0.0
        """When the server began to end (`time.monotonic`); 0 before that. What has begun is still answered."""
        self.running = self.busy = False
        """Whether the script is answering a request, and whether it can take no other one now."""

    def start(self, woken: socket.socket) -> None:
        """Begins to accept connections, and to listen to what wakes the thread that has the turn."""
        self._listeners.start()
        self._woken = woken
        self._selector.register(woken, selectors.EVENT_READ)
        self._selector.register(self._signals, selectors.EVENT_READ)

    @property
    def drained(self) -> bool:
        """Whether nothing is left to be answered while the server ends."""
        return not self._connections and not self.work and not self._listeners

    def may_keep(self) -> bool:
        """Returns whether a connection may be used for another request."""
        return not (self._shared or self.stopping)

    def note_waiting(self) -> None:
        """Counts the requests that wait."""
        if self._app.metrics is not None:
            self._app.metrics.wait(len(self.work))

    def active_since(self, moment: float) -> int:
        """Returns how many clients wait for no answer and have sent or taken something since then: another request of theirs is likely."""
        return sum(each.state == READING and each.progress >= moment for each in self._connections)

    def look_after(self, seconds: float) -> None:
        """Waits for clients at most this long, and does what can be done for them."""
        self._attend_waiting()
        if self.stopping and self._listeners:
            self._listeners.close(self._accept)
        free = not self._shared or not (self.work or self.busy or self._hesitates())
        self._listeners.watch(free, self._full)
        if self.stopping:
            seconds = min(seconds, 0.1)
        elif self._shared and self._hesitates():
            seconds = min(seconds, _HESITATION)
        for key, events in self._selector.select(seconds):
            self._handle(key, bool(events & selectors.EVENT_READ))
        self._attend_waiting()
        self._sweep()

    def _wake(self, connection: Connection) -> None:
        """Makes whoever has the turn look at this connection."""
        self._attention.append(connection)
        self._ring()

    def _attend_waiting(self) -> None:
        while self._attention:
            self._attend(self._attention.popleft())

    def _handle(self, key: selectors.SelectorKey, readable: bool) -> None:
        if key.fileobj is self._woken:
            self._woken.recv(4096)
        elif key.fileobj == self._signals:
            os.read(self._signals, 4096)
        elif isinstance(key.data, Connection):
            self._attend(key.data, readable)
        else:
            self._listeners.accept_from(key.fileobj, self._accept)

    def _attend(self, connection: Connection, readable: bool = False) -> None:
        try:
            self._look(connection, readable)
        except Exception:  # a fault of ours with one client must not silence the others
            _log.exception("A connection has failed")
            self._close(connection)

    def _hesitates(self) -> bool:
        """Whether the request of the newest connection should arrive in a moment: other workers may take the next connection."""
        newest, opened = self._newest
        return (
            self._shared
            and newest is not None
            and newest in self._connections
            and newest.state == READING
            and time.monotonic() - opened < _HESITATION
        )

    def _accept(self, listener: Any) -> bool:
        """Accepts one connection; returns whether there was one."""
        crowded = len(self._connections) >= self._limits.connections
        oldest = self._oldest() if crowded else None
        if crowded and oldest is None:
            self._full = True
            return False
        try:
            sock, address = listener.accept()
        except BlockingIOError:
            return False  # another worker was faster, or there are no more
        except OSError as error:
            _log.warning("A connection could not be accepted: %s", error)  # too many open files, usually
            oldest = self._oldest()
            self._full = oldest is None
            if oldest is not None:
                self._close(oldest)
            return False
        if oldest is not None:
            self._close(oldest)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = RequestReader(self._cfg, address, listener.getsockname(), self._app.max_body_bytes)
        connection = Connection(sock, reader, self._wake, self._limits.buffered)
        self._connections.add(connection)
        self._newest = connection, connection.since
        self._attend(connection, readable=True)  # a request usually comes with its connection
        return True

    def _oldest(self) -> Connection | None:
        """Returns the connection that has been without a complete request for longest; None if all have one."""
        idle = (each for each in self._connections if each.state in (READING, CLOSING))
        return min(idle, key=lambda each: each.since, default=None)

    # one connection

    def _look(self, connection: Connection, readable: bool = False) -> None:
        """Does for a connection what can be done now."""
        if connection not in self._connections:
            return
        flushed = connection.flush()
        if connection.state == CLOSED:
            self._close(connection)
        elif connection.leave_unread():
            self._watch(connection, read=False, write=not flushed)
        elif connection.state == CLOSING:
            self._bodies.release(connection)
            if readable and not self._receive(connection):
                return
            self._watch(connection, read=True, write=not flushed)
        elif not flushed:
            self._watch(connection, read=False, write=True)
        elif not readable or self._receive(connection):
            self._read(connection)

    def _receive(self, connection: Connection) -> bool:
        """Receives what has arrived; returns False when the client has closed, which closes the connection."""
        try:
            size = connection.sock.recv_into(self._received)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            size = 0
        if not size:
            self._close(connection)
            return False
        if connection.state == READING:
            connection.progress = time.monotonic()
            if not connection.reader.begun:
                connection.since = connection.progress
            connection.reader.feed(self._received[:size])
        return True

    def _read(self, connection: Connection) -> None:
        """Takes requests out of the bytes that are here."""
        while connection.state == READING:
            if not connection.reader.in_body:
                self._bodies.release(connection)
            try:
                received = connection.reader.next()
            except BadRequestError as fault:
                connection.begin()
                refuse(self._app, self._cfg, connection, fault)
                continue
            if received is None:
                break
            connection.begin()
            if (self.work or self.running) and self._app.is_probe(received.environ):
                HttpWork(connection, received, self._cfg, self.may_keep).answer(self._app)
            else:
                self.work.append(HttpWork(connection, received, self._cfg, self.may_keep))
                self.note_waiting()
                return  # watched or not, for most clients send nothing before their answer
        if connection.state == READING and connection.reader.continue_wanted:
            connection.reader.continue_wanted = False
            try:
                connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            except ClientGoneError:
                self._close(connection)
                return
        self._watch(connection, read=connection.state != READING or self._bodies.has_turn(connection), write=False)

    def _proceed(self, connection: Connection) -> bool:
        """Reads on from a client whose large body has its turn; returns False for one that is gone."""
        known = connection in self._connections
        if known:
            self._watch(connection, read=True, write=False)
        return known

    def _close(self, connection: Connection) -> None:
        self._watch(connection, read=False, write=False)
        self._connections.discard(connection)
        self._full = False
        connection.close()
        self._bodies.release(connection)

    def _watch(self, connection: Connection, read: bool, write: bool) -> None:
        events = (selectors.EVENT_READ if read else 0) | (selectors.EVENT_WRITE if write else 0)
        if events == connection.watched:
            return
        if not events:
            self._selector.unregister(connection.sock)
        elif connection.watched:
            self._selector.modify(connection.sock, events, connection)
        else:
            self._selector.register(connection.sock, events, connection)
        connection.watched = events

    # time

    def _sweep(self) -> None:
        """Ends the connections of clients that have taken too long."""
        now = time.monotonic()
        if now - self._swept < (0.1 if self.stopping else 1):
            return
        self._swept = now
        late = [
            each
            for each in self._connections
            if self._limits.is_late(each, now, self.stopping, self._bodies.may_send(each))
        ]
        for each in late:
            if each.state == READING and each.reader.begun and not each.unsent:
                each.begin()
                refuse(self._app, self._cfg, each, BadRequestError(408, "The request took too long to arrive"))
                self._look(each)
            else:
                self._close(each)
