"""Pools of connections, and the limits that hold while a response arrives.

`http.client` waits for each piece by itself: a server that sends one byte a minute would hold it for days, in the header
as in the body. So the socket is read through `_PacedReader`, which adds up the waiting.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from modelcrate.net.addresses import is_metadata
from modelcrate.net.config import Timeouts

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BLOCK = 1 << 20
POOL = 64
"""Hosts whose connections are kept, and connections for each host: more than are ever used at once."""

MAX_INTERIM = 20
"""Interim responses (100 Continue, 103 Early Hints) before the final one."""


class TooSlow(TimeoutError):  # noqa: N818  (errors are named after what happened)
    """A response that trickles."""


class ForbiddenPeer(OSError):  # noqa: N818  (errors are named after what happened)
    """A name that a server sent us to leads to a link-local address or a metadata service."""


def pools(tls: ssl.SSLContext | None, proxy: str | None, timeouts: Timeouts, *, guarded: bool) -> urllib3.PoolManager:
    """Returns a pool manager.

    Args:
        tls: For https; None for plain HTTP.
        proxy: The URL of a proxy.
        timeouts: The limits for every response.
        guarded: For addresses that a server named: no link-local address and no metadata service may be behind them.
    """
    options: dict[str, Any] = {"maxsize": POOL, "blocksize": BLOCK, "ssl_context": tls}
    if proxy is None:
        manager = urllib3.PoolManager(POOL, **options)
    else:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        headers = urllib3.make_headers(proxy_basic_auth=user) if parts.username else None
        manager = urllib3.ProxyManager(parts.geturl(), POOL, proxy_headers=headers, **options)
    manager.pool_classes_by_scheme = _pool_classes(timeouts, guarded=guarded and proxy is None)
    return manager


def _pool_classes(limits: Timeouts, *, guarded: bool) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3's pools over connections that keep the limits."""

    class Response(_BoundedResponse):
        timeouts = limits

    class Plain(HTTPConnection):
        response_class = Response

        def _new_conn(self) -> socket.socket:
            return _checked(super()._new_conn()) if guarded else super()._new_conn()

    class Secure(HTTPSConnection):
        response_class = Response

        def _new_conn(self) -> socket.socket:
            return _checked(super()._new_conn()) if guarded else super()._new_conn()

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _checked(made: socket.socket) -> socket.socket:
    """The connection, unless its peer is a metadata service. Nothing was sent yet."""
    peer = made.getpeername()[0]
    if is_metadata(peer):
        made.close()
        raise ForbiddenPeer(f"the name leads to {peer}, a link-local address or a metadata service")
    return made


class _BoundedResponse(http.client.HTTPResponse):
    """A response whose header has to be complete in time, and whose body has to keep moving."""

    timeouts: Timeouts

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self._paced = _PacedReader(self.fp.detach(), self.timeouts)
        self.fp = io.BufferedReader(self._paced, io.DEFAULT_BUFFER_SIZE)
        self._interim = 0

    def begin(self, **options: Any) -> None:  # newer Pythons pass a limit of headers
        super().begin(**options)
        self._paced.in_header = False

    def _read_status(self) -> tuple[str, int, str]:
        """The status line, after interim responses that `http.client` would take for the final one (RFC 9110, 15.2)."""
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]  # not in the stubs
            if not 100 <= status < 200 or status == http.client.SWITCHING_PROTOCOLS:
                return version, status, reason
            self._interim += 1
            if self._interim > MAX_INTERIM:
                raise http.client.HTTPException("interim responses without end")
            self._paced.header_began = 0.0  # the final response may take its time
            if status == http.client.CONTINUE:
                return version, status, reason  # which `http.client` handles itself
            http.client.parse_headers(self.fp)


class _PacedReader(io.RawIOBase):
    """Reads a socket, and raises TooSlow where a response trickles. It counts the time spent waiting, not the reader's own."""

    def __init__(self, raw: io.RawIOBase, timeouts: Timeouts) -> None:
        self._raw, self._timeouts = raw, timeouts
        self.in_header, self.header_began = True, 0.0
        self._waited, self._got = 0.0, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        before = time.monotonic()
        count = self._raw.readinto(buffer)
        now = time.monotonic()
        if self.in_header:
            self.header_began = self.header_began or now
            if now - self.header_began > self._timeouts.headers:
                raise TooSlow(f"its header did not end within {self._timeouts.headers:g} seconds")
            return count
        self._waited, self._got = self._waited + now - before, self._got + (count or 0)
        if self._waited >= self._timeouts.answer:
            if count and self._got < self._timeouts.slowest * self._waited:
                raise TooSlow(f"{self._got} bytes in {self._waited:.0f} seconds")
            self._waited, self._got = 0.0, 0
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()
