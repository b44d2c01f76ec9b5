"""One exchange over HTTP, and nothing more: no cookies, no .netrc, no environment, no redirects, no retries.

It stands on urllib3, which requests stands on as well: a session's conveniences are each a way to leak a credential, and importing
them takes longer than a small push. Everything foreign (exceptions, bodies without end, servers that fall silent) ends here; what
leaves are Answers and our own errors.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator, Mapping
from types import TracebackType
from urllib.parse import SplitResult, urlsplit

import urllib3

from modelcrate.net.connections import Trust, connections
from modelcrate.net.counters import Counters
from modelcrate.registry.errors import ConnectionFailed
from modelcrate.registry.settings import RegistryConfig
from modelcrate.registry.wire import Headers, Request, Response
from modelcrate_layers.content import MAX_JSON
from modelcrate_layers.errors import MachineError, RegistryError, UserError

PIECE = 256 << 10
"""How much is handed to the socket at once: a whole piece has to leave within the connect timeout."""

READ = 1 << 20


class Reply:
    """An answer whose body is still to be read. Close it (it is a context manager), or `read` it."""

    def __init__(self, raw: urllib3.BaseHTTPResponse, request: Request, counters: Counters) -> None:
        self.raw, self.request, self._counters = raw, request, counters
        fields = tuple((name, value) for name in raw.headers for value in raw.headers.getlist(name))
        self.answer = Response(raw.status, Headers(fields), b"", request.url)

    def __enter__(self) -> Reply:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back where the body was read to its end, else end it."""
        self.raw.close()
        self.raw.release_conn()

    def read(self, limit: int = MAX_JSON) -> Response:
        """The answer with its body; more than `limit` bytes are a RegistryError."""
        with self:
            data = bytearray()
            for chunk in self.chunks():
                data += chunk
                if len(data) > limit:
                    why = f"more than {limit} bytes"
                    raise RegistryError("the registry's answer is too large", where=self.request.where(), why=why)
        return Response(self.answer.status, self.answer.headers, bytes(data), self.answer.url)

    def chunks(self) -> Iterator[bytes]:
        """The body as it is on the wire, never decoded; Lost where it breaks off."""
        try:
            while piece := self.raw.read(READ, decode_content=False):
                self._counters.received(len(piece))
                yield piece
        except (urllib3.exceptions.HTTPError, OSError) as fault:
            raise ConnectionFailed(self.request, f"the answer broke off: {_said(fault)}") from None


class _SourceFault(Exception):  # noqa: N818  (errors are named after what happened)
    """Carries an error of the body's source past the HTTP library, which would take it for its own."""

    def __init__(self, fault: BaseException) -> None:
        super().__init__()
        self.fault = fault


class _Outgoing:
    """A body as the HTTP library wants it: iterable, and with a length where there is one."""

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


class Transport:
    """Connections, kept and shared by all threads, apart for every way of trusting."""

    def __init__(self, settings: RegistryConfig) -> None:
        self._settings, self._proxies = settings, settings.proxies
        self._lock = threading.Lock()
        self._managers: dict[tuple[Trust | None, str | None], urllib3.PoolManager] = {}

    def close(self) -> None:
        """End all kept connections."""
        with self._lock:
            managers, self._managers = list(self._managers.values()), {}
        for manager in managers:
            manager.clear()

    def exchange(
        self, request: Request, trust: Trust, counters: Counters, *, verb: str = "", patience: float | None = None
    ) -> Reply:
        """Send one request and return its reply, whatever its status. `patience`: seconds of silence that are borne.

        It is counted as `verb`, by default as its method. Raises Lost where there is no answer.
        """
        if self._settings.offline:
            raise UserError(
                "offline, but the network is needed", where=request.where(),
                hint="run without --offline, or have what is needed in the store",
            )  # fmt: skip
        parts = urlsplit(request.url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        proxy = self._proxies.choose(parts.scheme, parts.hostname or "", port)
        timeouts = self._settings.timeouts
        body = request.body if request.body is not None and request.body.length != 0 else None
        counters.request(verb or request.method)
        try:
            pool = self._manager(trust if parts.scheme == "https" else None, proxy).connection_from_host(
                parts.hostname, port, parts.scheme
            )
            raw = pool.urlopen(
                request.method,
                _target(parts, proxy is not None),
                _Outgoing(request, counters) if body is not None else None,  # type: ignore[arg-type]  # any iterable is sent piecewise
                self._headers(request),
                retries=False,
                redirect=False,
                assert_same_host=False,
                timeout=urllib3.Timeout(timeouts.connect, patience or timeouts.answer),
                chunked=body is not None and body.length is None,
                preload_content=False,
                decode_content=False,
            )
        except _SourceFault as carried:
            raise carried.fault from None
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as fault:
            raise self._translated(fault, request, trust, proxy) from None
        return Reply(raw, request, counters)

    def _manager(self, trust: Trust | None, proxy: str | None) -> urllib3.PoolManager:
        with self._lock:
            if (trust, proxy) not in self._managers:
                if trust is not None and trust.verify is False:
                    # the user's own rule says so; a warning a request would not make it safer
                    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
                self._managers[trust, proxy] = connections(trust, proxy)
            return self._managers[trust, proxy]

    def _headers(self, request: Request) -> Mapping[str, str]:
        fields = {"User-Agent": self._settings.user_agent, "Accept-Encoding": "identity", **request.headers}
        if any(mark in value for value in fields.values() for mark in "\r\n\0"):
            raise RegistryError("a header field with a line break", where=request.where())
        if request.body is not None:
            length = request.body.length
            fields |= {"Transfer-Encoding": "chunked"} if length is None else {"Content-Length": str(length)}
        return fields

    def _translated(
        self, fault: Exception, request: Request, trust: Trust, proxy: str | None
    ) -> RegistryError | MachineError:
        text = _said(fault)
        if isinstance(fault, urllib3.exceptions.ProxyError) and proxy:
            host = urlsplit(proxy).hostname
            return ConnectionFailed(
                request, f"the proxy {host} did not let us through: {text}", hint="see HTTPS_PROXY and NO_PROXY"
            )
        if isinstance(fault, urllib3.exceptions.ProxySchemeUnknown):
            return ConnectionFailed(
                request, f"no proxy that can be spoken to: {text}", retry=False, hint="it may be http or https"
            )
        if isinstance(fault, urllib3.exceptions.SSLError | ssl.SSLError):
            return ConnectionFailed(request, f"TLS failed: {text}", retry=False, hint=_tls_hint(text, trust))
        if isinstance(fault, FileNotFoundError):
            return MachineError("a certificate file is missing", where=request.where(), why=str(fault)[:300])
        if isinstance(fault, urllib3.exceptions.LocationValueError):
            return RegistryError("not a URL that can be asked", where=request.where())
        silent = isinstance(fault, urllib3.exceptions.TimeoutError)
        # what is refused is, by history, one of them, and no matter of time
        refused = isinstance(fault, urllib3.exceptions.NewConnectionError)
        kind = "it fell silent" if silent and not refused else "the connection failed"
        return ConnectionFailed(request, f"{kind}: {text}")


def _target(parts: SplitResult, proxied: bool) -> str:
    """What the request line names: the path as it stands, and before it the address where a proxy has to know it (RFC 9112, 3.2)."""
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    return f"http://{parts.netloc}{path}" if proxied and parts.scheme == "http" else path


def _said(fault: BaseException) -> str:
    """The innermost reason, without addresses of objects and without URLs (they may hold signatures)."""
    inner: BaseException = fault
    for _ in range(6):
        held = (getattr(inner, "reason", None), *inner.args, inner.__cause__)
        deeper = next((each for each in held if isinstance(each, BaseException)), None)
        if deeper is None:
            break
        inner = deeper
    text = " ".join(str(part) for part in inner.args if isinstance(part, str)) or inner.__class__.__name__
    return (
        text.split("(Caused by")[0].partition("object at 0x")[0][:200]
        if "://" not in text
        else inner.__class__.__name__
    )


def _tls_hint(text: str, trust: Trust) -> str:
    if "WRONG_VERSION_NUMBER" in text or "wrong version number" in text or "record layer" in text:
        return "the registry speaks plain HTTP; set `insecure: http` for it in registries.yaml if that is meant"
    if "CERTIFICATE_REQUIRED" in text or "certificate required" in text or "handshake failure" in text:
        return (
            "the registry asks for a client certificate; set `client-cert` and `client-key` for it in registries.yaml"
        )
    known = (
        f"the CA bundle used was {trust.verify}" if isinstance(trust.verify, str) else "the usual CA bundle was used"
    )
    return f"{known}; set `ca` for this registry in registries.yaml, or SSL_CERT_FILE"
