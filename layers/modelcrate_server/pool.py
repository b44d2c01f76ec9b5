"""run() in several threads of one worker, for scripts that wait for others, or whose libraries let other threads work meanwhile."""

from __future__ import annotations

import logging
import queue
import threading
import time

from .app import ScoringApp
from .background import start_thread
from .deadline import end_late
from .network import Network
from .work import Work

_log = logging.getLogger("azmlinfsrv")


class Pool:
    """The threads of one worker.

    Args:
        app: Answers the requests.
        network: Is told when a thread is free again.
        threads: How many there are.
    """

    def __init__(self, app: ScoringApp, network: Network, threads: int) -> None:
        self._app, self._network, self._threads = app, network, threads
        self._given: queue.SimpleQueue[Work] = queue.SimpleQueue()
        self._since: dict[int, float] = {}
        self._lock = threading.Lock()
        self._running = 0
        for number in range(threads):
            start_thread(self._work, f"modelcrate-run-{number}")

    @property
    def running(self) -> int:
        """How many requests are being answered."""
        return self._running

    @property
    def free(self) -> bool:
        """Whether another request can be taken."""
        return self._running < self._threads

    def give(self, work: Work) -> None:
        """Answers a request in one of the threads."""
        with self._lock:
            self._running += 1
        self._given.put(work)

    def end_late(self) -> float:
        """Ends each run() whose time is over; returns the seconds after which to look again."""
        soon = end_late()
        return 1.0 if soon is None else min(max(soon, 0.001), 1.0)

    def hangs(self, seconds: float) -> bool:
        """Returns whether an answer has shown no life for this long; 0 means never."""
        return bool(seconds) and any(time.monotonic() - since > seconds for since in list(self._since.values()))

    def _work(self) -> None:
        own = threading.get_ident()

        def alive() -> None:
            self._since[own] = time.monotonic()

        while True:
            work = self._given.get()
            alive()
            try:
                work.answer(self._app, alive)
            except BaseException:  # a deadline that rang too late, say: the thread goes on
                _log.exception("An answer could not be given")
            finally:
                self._since.pop(own, None)
                with self._lock:
                    self._running -= 1
                self._network.wake()
