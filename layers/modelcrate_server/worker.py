"""Gunicorn's worker with run() in its main thread, which also looks after the clients (`network`)."""

from __future__ import annotations

import os
import signal
from types import FrameType

from gunicorn.workers.base import Worker

from .limits import Limits
from .network import Network
from .stopping import Stopped, stop

_IDLE_SECONDS = 1.0
"""After which an idle worker shows the master that it is alive."""


class ScriptWorker(Worker):  # type: ignore[misc]  # of the image's gunicorn, which has no types here
    """One process that runs the entry script for one request at a time."""

    def init_signals(self) -> None:
        """Makes signals end the process at once until the script is ready: no request was taken."""
        super().init_signals()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, stop)

    def run(self) -> None:
        """Answers requests until a signal ends the worker; then those that have begun."""
        process = self.app.process
        always = () if process.health_port is None else (process.health_port,)
        limits = Limits(client_timeout=process.client_timeout)
        self.network = Network(self.wsgi, self.cfg, self.sockets, limits, always, self.PIPE[0])
        if self.wsgi.metrics is not None:
            self.wsgi.metrics.join(min(self.slot, self.wsgi.metrics.slots - 1))
        super().init_signals()
        self.network.start()
        while self.alive and self.ppid == os.getppid():
            self._answer_one()
        self.network.stop()
        while not self.network.drained:
            self._answer_one()

    def _answer_one(self) -> None:
        self.notify()
        work = self.network.next(_IDLE_SECONDS)
        if work is not None:
            self.network.answer(work, self.notify)

    def handle_exit(self, number: int, frame: FrameType | None) -> None:
        """Ends the worker after SIGTERM, when what has begun is answered."""
        self.alive = False
        self.network.stop()

    def handle_quit(self, number: int, frame: FrameType | None) -> None:
        """Ends run() and the worker after SIGINT or SIGQUIT."""
        self.alive = False
        raise Stopped(0)

    def handle_abort(self, number: int, frame: FrameType | None) -> None:
        """Ends run() and the worker after SIGABRT: the master has waited for WORKER_TIMEOUT seconds, and replaces the worker."""
        self.alive = False
        raise Stopped(1)
