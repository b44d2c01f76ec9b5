"""Gunicorn's worker with run() in its main thread, which also looks after the clients (`network`)."""

from __future__ import annotations

import logging
import os
import signal
import time
from types import FrameType
from typing import TYPE_CHECKING

from gunicorn.workers.base import Worker

from .limits import Limits
from .network import Network
from .stopping import Stopped, stop

if TYPE_CHECKING:
    from .grpc_server import GrpcServer
    from .pool import Pool

_log = logging.getLogger("azmlinfsrv")
_IDLE_SECONDS = 1.0
"""After which an idle worker shows the master that it is alive."""
_ALIVE_SECONDS = 0.1
"""How often a worker that is not idle does."""


class ScriptWorker(Worker):  # type: ignore[misc]  # of the image's gunicorn, which has no types here
    """One process that runs the entry script: for one request at a time, for several at once, or in several threads."""

    _shown = 0.0

    def notify(self) -> None:
        """Shows the master that this worker is alive, unless it has just done that."""
        now = time.monotonic()
        if now - self._shown > _ALIVE_SECONDS:
            self._shown = now
            super().notify()

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
        # not all workers at the same time
        self.left = process.max_requests + process.max_requests * self.slot // 10
        super().init_signals()
        self.network.start()
        pool, grpc = self._pool(), self._grpc()
        while self.alive and self.ppid == os.getppid():
            self._take_turn(pool)
        self.network.stop()
        if grpc is not None:
            grpc.stop()
        while not self.network.drained or (pool and pool.running) or (grpc and not grpc.drained):
            self._take_turn(pool)
        self.wsgi.close()

    def _pool(self) -> Pool | None:
        if self.app.process.threads == 1:
            return None
        from .pool import Pool  # late: few servers have threads

        return Pool(self.wsgi, self.network, self.app.process.threads)

    def _grpc(self) -> GrpcServer | None:
        port = self.app.grpc_port
        if port is None:
            return None
        from .grpc_server import GrpcServer  # late: it needs grpcio

        return GrpcServer(self.wsgi, self.network, self.app.process.host, port)

    def _take_turn(self, pool: Pool | None) -> None:
        if pool is None:
            self.notify()
            self._answer_next()
        else:
            if not pool.hangs(self.app.process.worker_timeout):
                self.notify()
            self._give_next(pool)

    def _answer_next(self) -> None:
        work = self.network.next(_IDLE_SECONDS)
        if work is None:
            return
        batch = self.app.process.batch
        if batch is None:
            with self.network.script_works():
                work.answer(self.wsgi, self.notify)
            self._count(1)
            return
        from .batching import answer_together  # late: few servers have batches

        works = self.network.joined(work, batch.most, batch.wait_ms / 1000)
        with self.network.script_works():
            answer_together(self.wsgi, works, self.notify)
        self._count(len(works))

    def _give_next(self, pool: Pool) -> None:
        seconds = min(pool.end_late(), _IDLE_SECONDS)
        self.network.note_threads(pool.running, self.app.process.threads)
        if not pool.free:
            self.network.look_after(seconds)
            return
        work = self.network.next(seconds)
        if work is not None:
            pool.give(work)
            self._count(1)

    def _count(self, answered: int) -> None:
        if not self.left:
            return
        self.left = max(self.left - answered, 0)
        if not self.left:
            _log.info("This worker has answered its share of requests, and another one takes its place")
            self.alive = False

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
