"""A server on loopback that answers with the very bytes that a test names, as slowly as it says."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Serve = Callable[[socket.socket], None]


@contextmanager
def raw_server(serve: Serve, host: str = "127.0.0.1") -> Iterator[str]:
    """Yields the server's host:port. `serve` gets each connection after the request's header was read."""
    listener = socket.create_server((host, 0))

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                if not (data := connection.recv(1 << 16)):
                    return
                head += data
            serve(connection)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"{host}:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def trickle(data: bytes, seconds: float = 0.02) -> Serve:
    """Sends one byte at a time."""

    def serve(connection: socket.socket) -> None:
        for n in range(len(data)):
            connection.sendall(data[n : n + 1])
            time.sleep(seconds)

    return serve


def at_once(data: bytes) -> Serve:
    """Sends all bytes and closes the connection."""
    return lambda connection: connection.sendall(data)
