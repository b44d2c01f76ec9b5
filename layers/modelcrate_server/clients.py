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
from .limits import Limits
from .reading import BadRequestError, RequestReader
from .work import Work

_log = logging.getLogger("azmlinfsrv")

_RECEIVE = 262_144
"""The bytes that are read from a client at once."""
_ACCEPT_ALL_SECONDS = 0.02
"""How often all waiting connections are accepted together, instead of one."""
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
        self._listeners = list(listeners)
        self._always = {each for each in listeners if each.getsockname()[1] in always}
        # where another worker may be free, a busy one accepts nothing, and no client keeps its connection to one of them
        self._shared = cfg.workers > 1
        self._accepting: set[Any] = set()
        self._connections: set[Connection] = set()
        self._newest: tuple[Connection | None, float] = None, 0.0
        self._large: set[Connection] = set()
        self._waiting: collections.deque[Connection] = collections.deque()
        self._attention: collections.deque[Connection] = collections.deque()
        self._selector = selectors.DefaultSelector()
        self._swept = self._accepted_all = 0.0
        self._full = False
        self._received = memoryview(
            bytearray(_RECEIVE)
        )  # one for all: a new one each time would cost a system call or two
        self.work: collections.deque[Work] = collections.deque()
        """The requests that wait for the script."""
        self.stopping = 0.0
        """When the server began to end (`time.monotonic`); 0 before that. What has begun is still answered."""
        self.running = self.busy = False
        """Whether the script is answering a request, and whether it can take no other one now."""

    def start(self, woken: socket.socket) -> None:
        """Begins to accept connections, and to listen to what wakes the thread that has the turn."""
        for each in self._listeners:
            each.setblocking(False)
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
        self._listen()
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
            self._accept_some(key.fileobj)

    def _attend(self, connection: Connection, readable: bool = False) -> None:
        try:
            self._look(connection, readable)
        except Exception:  # a fault of ours with one client must not silence the others
            _log.exception("A connection has failed")
            self._close(connection)

    def _listen(self) -> None:
        """Watches the listeners of which connections may be accepted now, and only these."""
        if self.stopping and self._listeners:
            self._end_listening()
        if not self._shared and not self._full and len(self._accepting) == len(self._listeners):
            return  # nothing has changed: the usual case
        free = not self._shared or not (self.work or self.busy or self._hesitates())
        wanted = {each for each in self._listeners if (free or each in self._always) and not self._full}
        for each in wanted - self._accepting:
            self._selector.register(each, selectors.EVENT_READ)
        for each in self._accepting - wanted:
            self._selector.unregister(each)
        self._accepting = wanted

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

    def _end_listening(self) -> None:
        """Takes what the kernel has accepted already, for it would be reset, and closes the listeners."""
        listeners, self._listeners = self._listeners, []
        for each in self._accepting:
            self._selector.unregister(each)
        self._accepting = set()
        for each in listeners:
            while self._accept(each):
                pass
            each.close()

    def _accept_some(self, listener: Any) -> None:
        """Accepts one connection; now and then all of them, so that a probe does not wait behind many other clients."""
        now = time.monotonic()
        if self._shared or now - self._accepted_all < _ACCEPT_ALL_SECONDS:
            self._accept(listener)
        else:
            self._accepted_all = now
            while self._accept(listener):
                pass

    def _accept(self, listener: Any) -> bool:
        """Accepts one connection; returns whether there was one."""
        if len(self._connections) >= self._limits.connections and not self._evict():
            self._full = True
            return False
        try:
            sock, address = listener.accept()
        except BlockingIOError:
            return False  # another worker was faster
        except OSError as error:
            _log.warning("A connection could not be accepted: %s", error)  # too many open files, usually
            self._full = not self._evict()
            return False
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = RequestReader(self._cfg, address, listener.getsockname(), self._app.max_body_bytes)
        connection = Connection(sock, reader, self._wake, self._limits.buffered)
        self._connections.add(connection)
        self._newest = connection, connection.since
        self._attend(connection, readable=True)  # a request usually comes with its connection
        return True

    def _evict(self) -> bool:
        """Closes the connection that has been without a complete request for longest; returns whether there was one."""
        idle = [each for each in self._connections if each.state in (READING, CLOSING)]
        if idle:
            self._close(min(idle, key=lambda each: each.since))
        return bool(idle)

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
            self._release(connection)
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
                self._release(connection)
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
        self._watch(connection, read=connection.state != READING or self._has_turn(connection), write=False)

    def _may_send(self, connection: Connection) -> bool:
        """Returns whether the server reads what the client sends: a large body may have to wait."""
        return not connection.large or connection in self._large

    def _has_turn(self, connection: Connection) -> bool:
        """Returns whether more may be read: large bodies wait until it is their turn."""
        if not connection.large and connection.reader.body_size >= self._limits.large_body:
            connection.large = True
            self._waiting.append(connection)
            self._give_turns()
        return self._may_send(connection)

    def _give_turns(self) -> None:
        while self._waiting and len(self._large) < self._limits.large_bodies:
            following = self._waiting.popleft()
            if following in self._connections:
                self._large.add(following)
                following.since = following.progress = time.monotonic()
                self._watch(following, read=True, write=False)

    def _release(self, connection: Connection) -> None:
        """Gives the turn of a large body to the next one."""
        if connection.large:
            connection.large = False
            self._large.discard(connection)
            self._give_turns()

    def _close(self, connection: Connection) -> None:
        self._watch(connection, read=False, write=False)
        self._connections.discard(connection)
        self._full = False
        connection.close()
        self._release(connection)

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
            each for each in self._connections if self._limits.is_late(each, now, self.stopping, self._may_send(each))
        ]
        for each in late:
            if each.state == READING and each.reader.begun and not each.unsent:
                each.begin()
                refuse(self._app, self._cfg, each, BadRequestError(408, "The request took too long to arrive"))
                self._look(each)
            else:
                self._close(each)
