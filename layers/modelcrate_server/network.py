"""Who has the turn: the script's thread, or the one that looks after the clients while run() works.

The entry script runs in the main thread of its worker, one request at a time: only there can an alarm end run() (`deadline`). The same
thread looks after the clients between two requests, without ever waiting for one of them: sockets do not block, a request is given
to the script when all of it is here, and an answer is sent as far as the client takes it. When run() works for longer than a moment,
a second thread, the deputy, looks after the clients until it ends: it accepts, reads, answers probes and sends, and requests for the
script wait. Short requests are so answered without a change of threads, which would cost a quarter of the throughput.

    main thread:  clients | run() | clients | run() ............................ | clients
    deputy:                                     (waits) | clients, probes ...... |

Whichever thread looks after the clients holds the lock `_turn`. So a client that is slow, silent or hostile costs a place in a table,
and health is answered while run() works. Where run() may be called in several threads (`pool`), the main thread always has the turn.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from .app import ScoringApp
from .background import start_thread
from .clients import Clients
from .limits import Limits
from .work import Work

_log = logging.getLogger("azmlinfsrv")

_DEPUTY_SECONDS = 0.2
"""How long run() works before the deputy looks after the clients."""
_LOOK_SECONDS = 0.002
"""How often the clients are looked after while requests wait for the script."""
_LATELY = 0.1
"""Seconds in which a client is taken to send its next request, when several are answered together."""


class Network:
    """The clients of one worker, and the two threads that look after them in turn. The arguments are those of `Clients`."""

    def __init__(
        self, app: ScoringApp, cfg: Any, listeners: Sequence[Any], limits: Limits, always: Collection[int], signals: int
    ) -> None:
        self._clients = Clients(app, cfg, listeners, limits, always, signals, self._ring)
        self._woken, self._waker = socket.socketpair()
        self._turn = threading.Lock()
        self._wanted_back = False
        self._running_since = self._looked = 0.0
        self._busy = threading.Event()

    # for the main thread

    def start(self) -> None:
        """Begins to accept connections. The main thread looks after them from now on."""
        self._turn.acquire()
        for each in (self._woken, self._waker):
            each.setblocking(False)
        self._clients.start(self._woken)
        start_thread(self._deputise, "modelcrate-clients")

    def next(self, seconds: float) -> Work | None:
        """Looks after the clients until one has a request for the script.

        Returns:
            The request; None when the time is over, or when there was a signal.
        """
        clients = self._clients
        if not clients.work or time.monotonic() - self._looked > _LOOK_SECONDS:
            clients.look_after(0 if clients.work else seconds)
            self._looked = time.monotonic()
        if not clients.work:
            return None
        work = clients.work.popleft()
        clients.note_waiting()
        return work

    def look_after(self, seconds: float) -> None:
        """Looks after the clients, and leaves their requests where they are: the script can take no more of them now."""
        self._clients.look_after(seconds)

    def joined(self, first: Work, most: int, seconds: float) -> list[Work]:
        """Returns a request with others that have come, or that come before the time is over, while more are likely to.

        Args:
            first: A request.
            most: How many are returned at most.
            seconds: How long the first one may have to wait.
        """
        clients, found = self._clients, [first]
        now = time.monotonic()
        until, lately = now + seconds, now - _LATELY
        while True:
            while clients.work and len(found) < most:
                found.append(clients.work.popleft())
            left = until - time.monotonic()
            if len(found) >= most or left <= 0 or not clients.active_since(lately):
                break
            clients.look_after(left)
        clients.note_waiting()
        return found

    @contextlib.contextmanager
    def script_works(self) -> Iterator[None]:
        """Lets the deputy look after the clients when the block takes long."""
        self._running_since = time.monotonic()
        self._clients.running = self._clients.busy = True
        if not self._busy.is_set():
            self._busy.set()
        self._turn.release()
        try:
            yield
        finally:
            if not self._turn.acquire(blocking=False):
                self._wanted_back = True
                self._ring()
                self._turn.acquire()
                self._wanted_back = False
            self._running_since = 0.0
            self._clients.running = self._clients.busy = False

    def note_threads(self, running: int, most: int) -> None:
        """Notes how many threads run the script, so that a busy worker takes no connection that another one could take."""
        self._clients.running, self._clients.busy = running > 0, running >= most

    def stop(self) -> None:
        """Accepts no more connections. What has begun is still answered. A signal's handler may call it."""
        self._clients.stopping = self._clients.stopping or time.monotonic()

    @property
    def drained(self) -> bool:
        """Whether nothing is left to be answered after `stop`."""
        return self._clients.drained

    # for any thread

    def submit(self, work: Work) -> None:
        """Lets a request wait for the script that came by another way than a connection of ours."""
        self._clients.work.append(work)
        self._clients.note_waiting()
        self._ring()

    def wake(self) -> None:
        """Makes whoever has the turn look around."""
        self._ring()

    def _ring(self) -> None:
        if self._turn.locked():
            with contextlib.suppress(BlockingIOError):  # there are enough of them
                self._waker.send(b"\0")

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
                        self._clients.look_after(1)
                except Exception:
                    _log.exception("The clients could not be looked after")
                finally:
                    self._turn.release()
