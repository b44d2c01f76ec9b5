"""Reads URLs: with a login where one is known, over redirects, with retries; a body goes on where it broke off.

`file:` URLs are read from this machine.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote

from modelcrate.events import Emit, Notice
from modelcrate.net.client import HttpClient, Reply
from modelcrate.net.config import HttpConfig
from modelcrate.net.counters import Counters, Traffic
from modelcrate.net.credentials import Authorization, Credentials, IndexCredentials
from modelcrate.net.errors import GONE, ErrorResponse, NotFound
from modelcrate.net.events import Retrying
from modelcrate.net.messages import Headers, Request, Response
from modelcrate.net.resume import resumed
from modelcrate.net.retry import Clock, RetryEngine, SystemClock
from modelcrate.net.tls import Trust
from modelcrate.net.urls import host_and_port, is_address, local_path, origin, split_login
from modelcrate_layers.content import CHUNK, parse_natural
from modelcrate_layers.errors import RegistryError, unreadable

MAX_ERROR_PAGE = 64 << 10


class UrlReader:
    """Reads URLs over one HTTP client, which it closes only if it is its own. It is safe for threads."""

    def __init__(
        self,
        config: HttpConfig,
        emit: Emit,
        clock: Clock | None,
        http: HttpClient | None,
        credentials: Credentials | None,
    ) -> None:
        self._config, self._emit = config, emit
        self._http, self._owner = http or HttpClient(config), http is None
        self._credentials = credentials or IndexCredentials(config)
        self._engine = RetryEngine(config.patience, clock or SystemClock(), self._announce)
        self._trust = Trust.of(config)
        self._counters = Counters(self._http.counters)
        self._lock = threading.Lock()
        self._announced: set[str] = set()
        self._logins: dict[str, Authorization] = {}

    @property
    def traffic(self) -> Traffic:
        """Requests and bytes so far."""
        return self._counters.read()

    def close(self) -> None:
        """Closes the connections, unless they are another's."""
        if self._owner:
            self._http.close()

    def read(self, url: str, limit: int, accept: str) -> bytes:
        """Returns a small document.

        Raises:
            NotFound: The server does not have it.
            RegistryError: It has more than `limit` bytes, or the server failed.
        """
        if (path := self._local(url)) is not None:
            data = next(_pieces(path, limit + 1), b"")
            if len(data) > limit:
                raise RegistryError(f"has more than {limit} bytes", where=str(path))
            return data
        return self._engine.run(lambda: self._open(url, {"Accept": accept}, (200,)).read(limit)).body

    def size(self, url: str) -> int | None:
        """Returns the size of a file in bytes, without its bytes; None where the server does not send it.

        A server that refuses HEAD is asked for the first byte, which tells the size as well (RFC 9110, 14.4).

        Raises:
            RegistryError: The network must not be used, or the server refused the login.
        """
        if (path := self._local(url)) is not None:
            return path.stat().st_size if path.is_file() else None
        for method in ("HEAD", "GET"):
            try:
                length = self._engine.run(partial(self._length, url, method))
            except ErrorResponse as fault:
                if fault.status in (401, 403) and method == "GET":
                    raise
                continue
            if (size := parse_natural(length)) is not None:
                return size
        return None

    def part(self, url: str, count: int) -> bytes | None:
        """Returns the first `count` bytes of a file; None where the server sends no parts of files (RFC 9110, 14).

        Raises:
            NotFound: The server does not have it.
            RegistryError: The server failed.
        """
        if (path := self._local(url)) is not None:
            return next(_pieces(path, count), b"")
        return self._engine.run(lambda: self._part(url, count))

    def _part(self, url: str, count: int) -> bytes | None:
        reply = self._open(url, {"Accept-Encoding": "identity", "Range": f"bytes=0-{count - 1}"}, (200, 206))
        if reply.answer.status == 206:
            return reply.read(count).body
        reply.close()
        return None

    def _length(self, url: str, method: str) -> str:
        first = {"Range": "bytes=0-0"} if method == "GET" else {}
        reply = self._open(url, {"Accept-Encoding": "identity", **first}, (200, 206), method)
        reply.close()
        headers = reply.answer.headers
        if reply.answer.status == 206:
            return (headers.get("Content-Range") or "").rpartition("/")[2]
        return headers.get("Content-Length") or ""

    def chunks(self, url: str, size: int | None) -> Iterator[bytes]:
        """Yields the bytes of a file. `size` is what it should have, where that is known.

        Raises:
            NotFound: The server does not have it.
            IntegrityError: The server announces another size.
            RegistryError: The server failed, in as many attempts as the configuration allows.
        """
        if (path := self._local(url)) is not None:
            return _pieces(path, CHUNK)
        where = Request("GET", url).where()
        return resumed(lambda headers, ok: self._open(url, headers, ok), size, self._engine, lambda: None, where)

    def _local(self, url: str) -> Path | None:
        """The path of a file: URL; None for http and https, which has to be allowed."""
        if url.startswith("file:") and "\0" not in unquote(url):
            return local_path(url)
        if not is_address(url) or "\0" in unquote(url):
            known = url.partition("://")[0] in ("http", "https")
            raise RegistryError(
                "not an address" if known or "://" not in url else "only http, https and file addresses can be fetched",
                where=repr(split_login(url)[0][:200]),
            )
        if self._config.offline:
            where = Request("GET", url).where()
            raise RegistryError("is needed, and --offline forbids fetching it", where=where)
        return None

    def _open(self, url: str, headers: Mapping[str, str], ok: Collection[int], method: str = "GET") -> Reply:
        """One request, with a login where one is known, and once more with another one where the server refuses it."""
        bare = split_login(url)[0]
        request = Request(method, bare, {"Accept": "*/*", **headers})
        sent: dict[str, Authorization | None] = {}

        def authorization(step: str) -> str:
            sent[origin(step)] = login = self._login(url if origin(step) == origin(bare) else step)
            return login.authorization if login else ""

        reply = self._exchange(request, authorization)
        refused = reply.answer.url
        if reply.answer.status in (401, 403) and sent[origin(refused)] is None:
            other = self._credentials.find_after_refusal(url if origin(refused) == origin(bare) else refused)
            if other is not None:
                reply.close()
                self._logins[origin(refused)] = sent[origin(refused)] = other
                reply = self._exchange(request, authorization)
        if reply.answer.status in ok:
            return reply
        raise self._refused(request, reply.read(MAX_ERROR_PAGE), sent.get(origin(reply.answer.url)))

    def _exchange(self, request: Request, authorization: Callable[[str], str]) -> Reply:
        return self._http.exchange_following(request, lambda _: self._trust, authorization, self._counters, plain=True)

    def _login(self, url: str) -> Authorization | None:
        return self._logins.get(origin(url)) or self._credentials.find(url)

    def _refused(self, request: Request, answer: Response, login: Authorization | None) -> ErrorResponse:

        status, place = answer.status, host_and_port(answer.url)
        phrase = next((f" {each.phrase}" for each in HTTPStatus if each == status), "")
        error = NotFound if status in GONE else ErrorResponse
        where, why, hint = request.where(), "", ""
        if status in (401, 403):
            why = (
                f"the login from {login.source} was refused"
                if login
                else f"no login was found: {self._credentials.searched()}"
            )
            hint = self._credentials.advice(place)
        return error(request, answer, f"{place} answered {status}{phrase}", where=where, why=why, hint=hint)

    def _announce(self, event: object) -> None:
        """Emits one event for each host that is tried again."""
        if isinstance(event, Retrying):
            place = host_and_port(event.where.rpartition(" ")[2])
            with self._lock:
                new = place not in self._announced
                self._announced.add(place)
            if new:
                self._emit(Notice(f"{place}: {event.why}; trying again for a while"))


def _pieces(path: Path, size: int) -> Iterator[bytes]:
    """The bytes of a local file."""
    try:
        with open(path, "rb") as file:
            while chunk := file.read(size):
                yield chunk
    except FileNotFoundError:
        asked = Request("GET", path.as_uri())
        raise NotFound(asked, Response(404, Headers()), "is not there", where=str(path)) from None
    except OSError as fault:
        raise unreadable(fault, path) from None
