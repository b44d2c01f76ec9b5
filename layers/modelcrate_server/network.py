"""The clients of a worker: accepts connections, reads requests, answers probes, and sends what slow clients have not taken yet.

The entry script runs in the main thread of its worker, one request at a time: only there can an alarm end run() (`deadline`). The same
thread looks after the clients between two requests, without ever waiting for one of them: sockets do not block, a request is given
to the script when all of it is here, and an answer is sent as far as the client takes it. When run() works for longer than a moment,
a second thread, the deputy, looks after the clients until it ends: it accepts, reads, answers probes and sends, and requests for the
script wait in `_work`. Short requests are so answered without a change of threads, which would cost a quarter of the throughput.

    main thread:  clients | run() | clients | run() ............................ | clients
    deputy:                                     (waits) | clients, probes ...... |

Whichever thread looks after the clients holds the lock `_turn`. So a client that is slow, silent or hostile costs a place in a table,
and health is answered while run() works.
"""

from __future__ import annotations

import collections
import contextlib
import logging
import os
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from .answering import answer, refuse
from .app import ScoringApp
from .connection import CLOSED, CLOSING, READING, ClientGoneError, Connection
from .limits import Limits
from .reading import BadRequestError, Received, RequestReader

_log = logging.getLogger("azmlinfsrv")

_RECEIVE = 262_144
"""The bytes that are read from a client at once."""
_ACCEPT_ALL_SECONDS = 0.02
"""How often all waiting connections are accepted together, instead of one."""
_DEPUTY_SECONDS = 0.2
"""How long run() works before the deputy looks after the clients."""
_HESITATION = 0.05
"""How long one of several workers waits for the request of a new connection before it accepts another one."""


@dataclass(frozen=True)
class Work:
    """A complete request for the main thread, and where its answer goes."""

    connection: Connection
    received: Received


class Network:
    """All connections of one worker.

    Args:
        app: Answers the requests.
        cfg: Gunicorn's configuration.
        listeners: The sockets that the master process has opened.
        limits: What clients may take.
        always: Ports that accept connections at any time, even where several workers share the others.
        signals: The end of a pipe that has a byte for each signal of this process.
    """

    def __init__(
        self, app: ScoringApp, cfg: Any, listeners: Sequence[Any], limits: Limits, always: Collection[int], signals: int
    ) -> None:
        self._app, self._cfg, self._limits, self._signals = app, cfg, limits, signals
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
        self._work: collections.deque[Work] = collections.deque()
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        self._stopping = self._swept = self._accepted_all = 0.0
        self._turn = threading.Lock()
        self._wanted_back = self._full = False
        self._running_since = 0.0
        self._busy = threading.Event()

    # for the main thread

    def start(self) -> None:
        """Begins to accept connections. The main thread looks after them from now on."""
        self._turn.acquire()
        for each in (self._woken, self._waker, *self._listeners):
            each.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._selector.register(self._signals, selectors.EVENT_READ)
        # signals stay with the main thread, whose system calls they have to interrupt
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            threading.Thread(target=self._deputise, name="modelcrate-clients", daemon=True).start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def next(self, seconds: float) -> Work | None:
        """Looks after the clients until one has a request for the script.

        Returns:
            The request; None when the time is over, or when there was a signal.
        """
        self._look_after(0 if self._work else seconds)
        if not self._work:
            return None
        work = self._work.popleft()
        self._note_waiting()
        return work

    def answer(self, work: Work, waiting: Callable[[], object]) -> None:
        """Answers a request by the script; the deputy looks after the clients when that takes long.

        Raises:
            Stopped: A signal ends the process.
        """
        self._running_since = time.monotonic()
        if not self._busy.is_set():
            self._busy.set()
        self._turn.release()
        try:
            answer(self._app, self._cfg, work.connection, work.received, self._may_keep, waiting)
        finally:
            if not self._turn.acquire(blocking=False):
                self._wanted_back = True
                self._ring()
                self._turn.acquire()
                self._wanted_back = False
            self._running_since = 0.0

    def stop(self) -> None:
        """Accepts no more connections. What has begun is still answered (`next`, `answer`). A signal's handler may call it."""
        self._stopping = self._stopping or time.monotonic()

    @property
    def drained(self) -> bool:
        """Whether nothing is left to be answered after `stop`."""
        return not self._connections and not self._work and not self._listeners

    # for either thread

    def _wake(self, connection: Connection) -> None:
        """Makes whoever looks after the clients look at this one."""
        self._attention.append(connection)
        if self._turn.locked():
            self._ring()

    def _note_waiting(self) -> None:
        if self._app.metrics is not None:
            self._app.metrics.wait(len(self._work))

    def _ring(self) -> None:
        with contextlib.suppress(BlockingIOError):  # there are enough of them
            self._waker.send(b"\0")

    def _may_keep(self) -> bool:
        return not (self._shared or self._stopping)

    def _deputise(self) -> None:
        """Looks after the clients while run() takes long. Waits without waking up while nothing is to be done."""
        while True:
            self._busy.wait()
            time.sleep(_DEPUTY_SECONDS)
            since = self._running_since
            if not since:
                self._busy.clear()
            elif time.monotonic() - since > _DEPUTY_SECONDS and self._turn.acquire(blocking=False):
                try:
                    while not self._wanted_back:
                        self._look_after(1)
                except Exception:
                    _log.exception("The clients could not be looked after")
                finally:
                    self._turn.release()

    # whoever has the turn

    def _look_after(self, seconds: float) -> None:
        """Waits for clients at most this long, and does what can be done for them."""
        self._attend_waiting()
        self._listen()
        if self._stopping:
            seconds = min(seconds, 0.1)
        elif self._shared and self._hesitates():
            seconds = min(seconds, _HESITATION)
        for key, events in self._selector.select(seconds):
            self._handle(key, bool(events & selectors.EVENT_READ))
        self._attend_waiting()
        self._sweep()

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
        if self._stopping and self._listeners:
            self._end_listening()
        if not self._shared and not self._full and len(self._accepting) == len(self._listeners):
            return  # nothing has changed: the usual case
        free = not self._shared or not (self._work or self._running_since or self._hesitates())
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
            data = connection.sock.recv(_RECEIVE)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            data = b""
        if not data:
            self._close(connection)
            return False
        if connection.state == READING:
            connection.progress = time.monotonic()
            if not connection.reader.begun:
                connection.since = connection.progress
            connection.reader.feed(data)
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
            if (self._work or self._running_since) and self._app.is_probe(received.environ):
                answer(self._app, self._cfg, connection, received, self._may_keep)
            else:
                self._work.append(Work(connection, received))
                self._note_waiting()
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
        if now - self._swept < (0.1 if self._stopping else 1):
            return
        self._swept = now
        late = [
            each for each in self._connections if self._limits.is_late(each, now, self._stopping, self._may_send(each))
        ]
        for each in late:
            if each.state == READING and each.reader.begun and not each.unsent:
                each.begin()
                refuse(self._app, self._cfg, each, BadRequestError(408, "The request took too long to arrive"))
                self._look(each)
            else:
                self._close(each)
