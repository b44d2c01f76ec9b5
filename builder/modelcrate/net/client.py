"""The one HTTP client: registries, package indexes, Debian mirrors, conda channels and hubs are reached through it.

One exchange at a time, and nothing more: no cookies, no environment of the process, no hidden redirects or retries. It
stands on urllib3 and not on requests, for each convenience of a session is a way to leak a credential. Everything foreign
(exceptions, bodies without end, silent servers) ends here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from modelcrate.net.addresses import check_hop
from modelcrate.net.config import HttpConfig
from modelcrate.net.counters import Counters
from modelcrate.net.errors import ConnectionFailed
from modelcrate.net.failures import reason, translated
from modelcrate.net.messages import AnyRequest, Headers, Request, Response, follow
from modelcrate.net.proxies import Proxies
from modelcrate.net.tls import Trust, context
from modelcrate.net.urls import origin, port, resolve
from modelcrate_layers.content import MAX_JSON
from modelcrate_layers.errors import RegistryError, UserError
from modelcrate_layers.frozen import replace

if TYPE_CHECKING:
    import urllib3

PIECE = 256 << 10
"""Bytes handed to the socket at once: a piece has to leave within the connect timeout."""

READ = 1 << 20
MAX_HOPS = 10
MOVED = frozenset({301, 302, 303, 307, 308})


class Reply:
    """A response whose body is still to be read. Close it (it is a context manager), or `read` it."""

    def __init__(self, raw: urllib3.BaseHTTPResponse, request: Request, counters: Counters, seconds: float) -> None:
        self.raw, self.request, self._counters, self._seconds = raw, request, counters, seconds
        fields = tuple((name, value) for name in raw.headers for value in raw.headers.getlist(name))
        self.answer = Response(raw.status, Headers(fields), b"", request.url)

    def __enter__(self) -> Reply:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Returns the connection to its pool if the body was read to its end; else closes it."""
        self.raw.close()
        self.raw.release_conn()

    def read(self, limit: int = MAX_JSON) -> Response:
        """Returns the response with its body.

        Raises:
            RegistryError: It has more than `limit` bytes.
            ConnectionFailed: It broke off, or did not end in time.
        """
        end = time.monotonic() + self._seconds
        with self:
            data = bytearray()
            for chunk in self._pieces(
                self.raw.read1
            ):  # it returns the bytes that have come, and does not wait for a full piece
                data += chunk
                if len(data) > limit:
                    why = f"more than {limit} bytes"
                    raise RegistryError("the server's answer is too large", where=self.request.where(), why=why)
                if time.monotonic() > end:
                    raise ConnectionFailed(self.request, f"the answer did not end within {self._seconds:g} seconds")
        return replace(self.answer, body=bytes(data))

    def chunks(self) -> Iterator[bytes]:
        """Yields the body as it is on the wire, never decoded.

        Raises:
            ConnectionFailed: It broke off, or came too slowly.
        """
        return self._pieces(self.raw.read)

    def _pieces(self, read: Callable[..., bytes]) -> Iterator[bytes]:
        from urllib3.exceptions import HTTPError, ReadTimeoutError

        try:
            while piece := read(READ, decode_content=False):
                self._counters.received(len(piece))
                yield piece
        except (HTTPError, OSError) as fault:
            silent = isinstance(fault, ReadTimeoutError | TimeoutError)
            raise ConnectionFailed(self.request, f"the answer broke off: {reason(fault)}", silent=silent) from None


class _SourceFault(Exception):  # noqa: N818  (errors are named after what happened)
    """Carries an error of the body's source past the HTTP library, which would take it for its own."""

    def __init__(self, fault: BaseException) -> None:
        super().__init__()
        self.fault = fault


class _Outgoing:
    """A body as the HTTP library wants it: iterable in pieces, counted as they leave."""

    def __init__(self, request: Request, counters: Counters) -> None:
        self._request, self._counters = request, counters

    def __iter__(self) -> Iterator[memoryview]:
        body, sent = self._request.body, 0
        assert body is not None
        pieces = iter(body.chunks())
        while True:
            try:
                chunk = next(pieces, None)
            except BaseException as fault:
                raise _SourceFault(fault) from None
            if chunk is None:
                break
            view = memoryview(chunk)
            for at in range(0, len(view), PIECE):
                piece = view[at : at + PIECE]
                yield piece
                sent += len(piece)
                self._counters.sent(len(piece))
        if body.length is not None and sent != body.length:
            raise _SourceFault(RegistryError(f"{sent} bytes instead of {body.length}", where=self._request.where()))


class HttpClient:
    """Connections that are kept and shared by all threads. It is a context manager; leaving it closes them.

    Pools are kept apart for every way of trusting, every proxy, and for addresses that a server named.
    """

    def __init__(self, config: HttpConfig) -> None:
        self.config = config
        self.counters = Counters()
        self._proxies = Proxies.of(config.environment)
        self._lock = threading.Lock()
        self._pools: dict[tuple[Trust | None, str | None, bool], urllib3.PoolManager] = {}

    def __enter__(self) -> HttpClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes all kept connections."""
        with self._lock:
            managers, self._pools = list(self._pools.values()), {}
        for manager in managers:
            for key in manager.pools.keys():  # noqa: SIM118 - no dict: urllib3's container cannot be iterated
                manager.pools[key].close()  # `clear` alone leaves the sockets to the garbage collector
            manager.clear()

    def exchange(
        self,
        request: Request,
        trust: Trust,
        counters: Counters | None = None,
        *,
        verb: str = "",
        patience: float | None = None,
        named: bool = False,
    ) -> Reply:
        """Sends one request and returns its reply, whatever the status. Redirects are not followed.

        Args:
            request: What to send.
            trust: How the server is verified, over https.
            counters: Where the traffic is counted.
            verb: The word that the request is counted as; by default its method.
            patience: Seconds to wait for the response; by default `timeouts.answer`.
            named: The address was named by another server, and not by the user.

        Raises:
            ConnectionFailed: There is no response.
            UserError: The client is offline.
            MachineError: A certificate file is missing.
        """
        from urllib3 import Timeout
        from urllib3.exceptions import HTTPError

        if self.config.offline:
            raise UserError(
                "offline, but the network is needed", where=request.where(),
                hint="run without --offline, or have what is needed in the store",
            )  # fmt: skip
        tally = counters or self.counters
        parts = urlsplit(request.url)
        proxy = self._proxies.choose(parts.scheme, parts.hostname or "", port(request.url))
        limits = self.config.timeouts
        body = request.body if request.body is not None and request.body.length != 0 else None
        tally.request(verb or request.method)
        try:
            pool = self._manager(trust if parts.scheme == "https" else None, proxy, named).connection_from_host(
                parts.hostname, port(request.url), parts.scheme
            )
            raw = pool.urlopen(
                request.method,
                _target(parts, proxy is not None),
                _Outgoing(request, tally) if body is not None else None,  # type: ignore[arg-type]  # any iterable is sent piecewise
                self._headers(request),
                retries=False,
                redirect=False,
                assert_same_host=False,
                timeout=Timeout(limits.connect, patience or limits.answer),
                chunked=body is not None and body.length is None,
                preload_content=False,
                decode_content=False,
            )
        except _SourceFault as carried:
            raise carried.fault from None
        except (HTTPError, OSError, ValueError) as fault:
            raise translated(fault, request, trust, proxy) from None
        return Reply(raw, request, tally, limits.document)

    def exchange_following(
        self,
        request: AnyRequest,
        trust: Callable[[str], Trust],
        authorization: Callable[[str], str],
        counters: Counters | None = None,
        *,
        base: str = "",
        patience: float | None = None,
        plain: bool = False,
    ) -> Reply:
        """Sends a request and follows redirects. The method and the body stay as they are.

        Args:
            request: What to send.
            trust: How the server of a URL is verified.
            authorization: The Authorization for a URL, "" for none; called for every step, so that no other host gets it.
            counters: Where the traffic is counted.
            base: A URL of the server that the user named, where the request goes to one that this server named.
            patience: As for `exchange`.
            plain: Whether a redirect may lead from http to http on another host.

        Raises:
            RegistryError: A redirect leads where it must not (see `addresses.check_hop`), or there are too many.
            ConnectionFailed: There is no response.
        """
        first = origin(base or request.url)
        for _ in range(MAX_HOPS + 1):
            header = authorization(request.url)
            headers = {**request.headers, "Authorization": header} if header else request.headers
            named = origin(request.url) != first
            reply = self.exchange(
                replace(request, headers=headers), trust(request.url), counters, patience=patience, named=named
            )
            location = reply.answer.headers.get("Location")
            if reply.answer.status not in MOVED or not location:
                return reply
            reply.close()
            target = resolve(request.url, location, request.where())
            check_hop(request.url, target, request.where(), plain=plain)
            request = follow(request, target)
        raise RegistryError("the server redirects in a circle", where=request.where(), why=f"{MAX_HOPS} redirects")

    def _manager(self, trust: Trust | None, proxy: str | None, named: bool) -> urllib3.PoolManager:
        from modelcrate.net.connections import pools

        with self._lock:
            key = (trust, proxy, named)
            if key not in self._pools:
                if trust is not None and trust.verify is False:
                    import urllib3

                    # by the user's own rule; a warning for each request would not make it safer
                    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
                tls = context(trust) if trust is not None else None
                self._pools[key] = pools(tls, proxy, self.config.timeouts, guarded=named)
            return self._pools[key]

    def _headers(self, request: Request) -> Mapping[str, str]:
        fields = {"User-Agent": self.config.user_agent, "Accept-Encoding": "identity", **request.headers}
        if any(mark in value for value in fields.values() for mark in "\r\n\0"):
            raise RegistryError("a header field with a line break", where=request.where())
        if request.body is not None:
            length = request.body.length
            fields |= {"Transfer-Encoding": "chunked"} if length is None else {"Content-Length": str(length)}
        return fields


def _target(parts: SplitResult, proxied: bool) -> str:
    """The target of the request line: the path, after the address where a proxy needs that (RFC 9112, 3.2)."""
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    return f"http://{parts.netloc}{path}" if proxied and parts.scheme == "http" else path
