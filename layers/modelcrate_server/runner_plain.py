"""Serving with the standard library alone, for images without gunicorn.

Threads read requests and write answers, so a slow client holds up nobody; the main thread runs the application, one
request after the other, as a sync worker does, so that an alarm can end run().
"""

from __future__ import annotations

import logging
import queue
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

from .http_connection import Connection, Exchange
from .settings import Process

MAX_CONNECTIONS = 256
"""Threads there may be at once; more clients wait in the kernel's queue."""

SENDING_SECONDS = 10
"""How long the last answers may take to reach their clients after SIGTERM."""

_log = logging.getLogger("azmlinfsrv")


def serve(make_app: Callable[[], Any], process: Process, ports: Sequence[int]) -> None:
    """Serves on these ports until SIGTERM or SIGINT: takes no more connections, answers what it has taken, and ends with code 0."""
    app = make_app()
    waiting: queue.SimpleQueue[Exchange | None] = queue.SimpleQueue()  # simple: its put may interrupt its get
    servers = [_Server((process.host, port), waiting, process.client_timeout) for port in ports]
    _when_told_to_end(lambda: waiting.put(None))
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    _log.info("Listening on %s", ", ".join(f"{process.host}:{port}" for port in ports))
    unsent: list[Exchange] = []
    while (exchange := waiting.get()) is not None:
        exchange.run(app)
        unsent = [earlier for earlier in [*unsent, exchange] if not earlier.sent.is_set()]
    for server in servers:
        server.shutdown()
        server.server_close()
    for exchange in unsent:
        exchange.sent.wait(SENDING_SECONDS)
    sys.exit(0)


def _when_told_to_end(stop: Callable[[], None]) -> None:
    """Calls `stop` in a thread of its own after SIGTERM or SIGINT.

    A Python handler would not do: it runs in the main thread only, and a signal that comes just before that thread
    begins to wait for work would be noticed with the next request, which may never come. Bytes in a socket are not
    missed.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    ending = {signal.SIGTERM, signal.SIGINT}
    for number in ending:
        signal.signal(number, lambda number, frame: None)

    def watch() -> None:
        with writer:  # kept open as long as somebody reads
            while reader.recv(1)[0] not in ending:
                pass
        stop()

    threading.Thread(target=watch, daemon=True).start()


class _Server(ThreadingMixIn, TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024

    def __init__(
        self, address: tuple[str, int], waiting: queue.SimpleQueue[Exchange | None], client_timeout: int
    ) -> None:
        self.waiting, self.client_timeout = waiting, client_timeout
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(address, Connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._free.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        _log.debug("a connection ended early", exc_info=True)
