"""A relay on loopback that counts what a client sends: bytes of bodies, requests by verb, and bytes of answers. It changes nothing.

It may be taken out of service as proxies are: what is under way is finished, and no other request gets through.
"""

from __future__ import annotations

import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from support.waiting import until


class Relay:
    """Connections to `host` are passed on to `target`; Host headers stay, so Locations of the target lead to `host` again."""

    def __init__(self, target: str, port: int = 0) -> None:
        name, _, number = target.rpartition(":")
        self._target = (name, int(number))
        self._begin(port)
        self.host = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.requests: Counter[str] = Counter()
        self.received = 0
        self.returned = 0
        self.connections = 0
        self._open = 0
        self._lock = threading.Lock()
        self._alarm: tuple[int, Callable[[], None]] | None = None

    def _begin(self, port: int) -> None:
        self._server = socket.create_server(("127.0.0.1", port), backlog=64)
        self._closing = False
        self._thread = threading.Thread(target=self._accept, args=(self._server,), daemon=True)
        self._thread.start()

    def at(self, byte: int, act: Callable[[], None]) -> None:
        """Call `act` once, as soon as so many bytes have come."""
        self._alarm = (byte, act)

    def settle(self) -> None:
        """Wait until every connection has ended."""
        until(lambda: not self._open, "the end of every connection", pause=0.01)

    def drain(self) -> None:
        """Finish the requests that have begun, and take no other, until `resume`."""
        self._closing = True
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def resume(self) -> None:
        """Take requests again, on the same port."""
        self.close()
        self.settle()
        self._begin(int(self.host.rpartition(":")[2]))

    def close(self) -> None:
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            with self._lock:
                self._open += 1
                self.connections += 1
            server = socket.create_connection(self._target)
            threading.Thread(target=self._back, args=(server, client), daemon=True).start()
            threading.Thread(target=self._forth, args=(client, server), daemon=True).start()

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 16):
                with self._lock:
                    self.returned += len(data)
                client.sendall(data)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def _forth(self, client: socket.socket, server: socket.socket) -> None:
        stream = Stream(self._asked, self._arrived)
        with suppress(OSError):
            while data := client.recv(1 << 18):
                if self._closing and stream.between:
                    break
                stream.feed(data)
                server.sendall(data)
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        client.close()
        server.close()
        with self._lock:
            self._open -= 1

    def _asked(self, method: str) -> None:
        with self._lock:
            self.requests[method] += 1

    def _arrived(self, count: int) -> None:
        with self._lock:
            self.received += count
            alarm = self._alarm
            if alarm and self.received >= alarm[0]:
                self._alarm = None
            else:
                alarm = None
        if alarm:
            alarm[1]()


class Stream:
    """The requests of one connection, one after the other: their methods, and how many bytes their bodies have (RFC 9112, 6 and 7.1)."""

    def __init__(self, asked: Callable[[str], None], arrived: Callable[[int], None]) -> None:
        self._asked, self._arrived = asked, arrived
        self._held, self._left, self._chunked = b"", 0, False

    @property
    def between(self) -> bool:
        """Whether no request has begun, or the last one has been sent whole."""
        return not (self._held or self._left or self._chunked)

    def feed(self, data: bytes) -> None:
        while data:
            if self._left:
                body, data = data[: self._left], data[self._left :]
                self._left -= len(body)
                self._arrived(len(body))
                continue
            first, mark, rest = (self._held + data).lstrip(b"\r\n").partition(b"\r\n" if self._chunked else b"\r\n\r\n")
            if not mark:
                self._held = first
                return
            self._held, data = b"", rest
            if self._chunked:
                self._left = int(first.partition(b";")[0], 16)
                self._chunked = self._left > 0
                continue
            self._asked(first.split(b" ", 1)[0].decode())
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", first)
            self._left = int(length[1]) if length else 0
            self._chunked = bool(re.search(rb"(?i)\r\ntransfer-encoding: *chunked", first))


@contextmanager
def relaying(target: str, port: int = 0) -> Iterator[Relay]:
    """A relay to `target`, on a port that may be given."""
    relay = Relay(target, port)
    try:
        yield relay
    finally:
        relay.close()
