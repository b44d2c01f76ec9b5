"""Sends requests to registries: authorised, over checked redirects, repeated where that may help."""

from __future__ import annotations

import threading
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from copy import copy

from modelcrate.images.reference import HUB, HUB_API, host_of
from modelcrate.net.addresses import is_loopback
from modelcrate.net.client import MOVED, HttpClient, Reply
from modelcrate.net.counters import Counters
from modelcrate.net.errors import PASSING, ConnectionFailed
from modelcrate.net.keyed_lock import KeyedLock
from modelcrate.net.messages import Response
from modelcrate.net.retry import Clock, RetryEngine
from modelcrate.net.tls import Trust
from modelcrate.net.urls import host
from modelcrate.registry import wire
from modelcrate.registry.auth import Authenticator
from modelcrate.registry.blob_cache import BlobCache
from modelcrate.registry.config import RegistryConfig
from modelcrate.registry.errors import error_response
from modelcrate.registry.events import Emit, Warned
from modelcrate.registry.limiter import AdaptiveLimiter
from modelcrate.registry.remote import Remote
from modelcrate.registry.wire import RegistryRequest
from modelcrate_layers.frozen import replace

LONG = 64 << 20
"""Bytes of a body from which on the token has to be fresh when sending begins."""

EXPIRED = frozenset({400, 401, 403})
"""How storage services refuse a redirect whose signature expired (S3 403, GCS 400, Azure 403). The registry makes a new one."""

WORKERS = 32
"""Threads for small requests and for uploads. Each registry's limiter decides how many uploads run at once."""


class RegistryTransport:
    """Sends requests to any number of registries. All threads share it. It remembers what it learns of each registry."""

    def __init__(
        self, settings: RegistryConfig, clock: Clock, emit: Emit, counters: Counters, http: HttpClient | None = None
    ) -> None:
        self.settings, self.clock, self.emit, self.counters = settings, clock, emit, counters
        self.engine = RetryEngine(settings.patience, clock, emit)
        self.blobs, self.locks = BlobCache(), KeyedLock()
        self.bodies: dict[str, int] = {}
        """Bytes of the bodies that are tried with registries that have refused larger ones."""
        self.referrers: dict[str, bool] = {}
        """Whether registries have the API for referrers, where that was found out."""
        self.pool = ThreadPoolExecutor(WORKERS, "registry")
        self.http, self._owner = http or HttpClient(settings.http), http is None
        self._auth = Authenticator(settings, self.http, clock, emit)
        self._lock = threading.RLock()
        self._remotes: dict[str, Remote] = {}
        self._warned: set[tuple[str, str]] = set()

    def sharing(self, emit: Emit, counters: Counters) -> RegistryTransport:
        """Returns another transport over the same connections, tokens and caches, with its own events and counts."""
        other = copy(self)
        other.emit, other.counters = emit, counters
        other.engine = RetryEngine(self.settings.patience, self.clock, emit)
        return other

    def use(self, settings: RegistryConfig) -> None:
        """Replaces the settings. The next request searches for credentials again."""
        self.settings = settings
        self._auth = Authenticator(settings, self.http, self.clock, self.emit)

    def close(self) -> None:
        """Ends the threads, and the connections unless they are another's."""
        self.pool.shutdown(wait=False, cancel_futures=True)
        if self._owner:
            self.http.close()

    def remote(self, registry: str) -> Remote:
        """Returns a registry.

        Where plain HTTP is possible, the first call sends one request without credentials, to learn how it is used.
        """
        with self._lock:
            if registry not in self._remotes:
                self._remotes[registry] = self._discover(registry)
            return self._remotes[registry]

    def send(
        self,
        request: RegistryRequest,
        remote: Remote,
        doing: str,
        ok: Collection[int] = (200,),
        *,
        counters: Counters | None = None,
        patience: float | None = None,
    ) -> Response:
        """Returns the response.

        Args:
            request: What to send.
            remote: The registry.
            doing: The act in words, for the error message.
            ok: The statuses that are wanted.
            counters: Where the traffic is counted.
            patience: Seconds to wait for the response.

        Raises:
            ErrorResponse: It has another status; NotFound for 404 and 410.
            ConnectionFailed: There is no response.
        """
        tally = counters or self.counters

        def act() -> Response:
            return self._checked(self._authorised(request, remote, tally, patience), request, remote, doing, ok)

        return self.engine.run(act) if request.repeat else act()

    def open(
        self,
        request: RegistryRequest,
        remote: Remote,
        doing: str,
        ok: Collection[int],
        *,
        counters: Counters | None = None,
    ) -> Reply:
        """Does the same as `send`, but returns a reply whose body is still to be read, and closed by the caller."""
        tally = counters or self.counters

        def act() -> Reply:
            reply = self._authorised(request, remote, tally, None)
            if reply.answer.status not in ok:
                self._checked(reply, request, remote, doing, ok)
            return reply

        return self.engine.run(act) if request.repeat else act()

    def _checked(
        self, reply: Reply, request: RegistryRequest, remote: Remote, doing: str, ok: Collection[int]
    ) -> Response:
        answer = reply.read()
        for text in wire.warnings(answer):
            self._warn(remote, text)
        if answer.status in ok and (answer.status >= 400 or not answer.is_web_page):  # "not there" may come as a page
            remote.limiter.succeeded()
            return answer
        if answer.status in PASSING:
            remote.limiter.failed()
        final = replace(request, url=answer.url or request.url)
        raise error_response(final, answer, doing, self.clock.now(), self._auth.note(remote.registry))

    def _authorised(
        self, request: RegistryRequest, remote: Remote, counters: Counters, patience: float | None
    ) -> Reply:
        length = request.body.length if request.body else 0
        fresh = length is None or length > LONG
        used = self._auth.header(remote, request.access, counters, fresh=fresh) if remote.owns(request.url) else ""
        reply = self._send_once(request, remote, used, counters, patience)
        if request.method == "GET" and reply.answer.status in EXPIRED and not remote.owns(reply.answer.url):
            reply.close()
            reply = self._send_once(request, remote, used, counters, patience)
        if reply.answer.status != 401 or not remote.owns(reply.answer.url):
            return reply
        answer = reply.read()
        if not has_challenge(answer):
            answer = self._pinged(remote, answer, counters)
        used = self._auth.answer(remote, request, answer, used, counters)
        return self._send_once(request, remote, used, counters, patience)

    def _send_once(
        self, request: RegistryRequest, remote: Remote, used: str, counters: Counters, patience: float | None
    ) -> Reply:
        """Sends it and follows redirects. The Authorization goes to the registry alone."""

        def trust(url: str) -> Trust:
            return remote.trust if remote.owns(url) else self.settings.trust(url.split("/")[2])

        def authorization(url: str) -> str:
            return used if remote.owns(url) else ""

        try:
            return self.http.exchange_following(
                request, trust, authorization, counters, base=remote.origin, patience=patience
            )
        except ConnectionFailed:
            remote.limiter.failed()
            raise

    def _pinged(self, remote: Remote, answer: Response, counters: Counters) -> Response:
        """The challenge of `GET /v2/`, where a 401 came without one (ghcr and gcr do that on some paths)."""
        ping = self.http.exchange(wire.ping(remote.origin), remote.trust, counters).read()
        return replace(answer, headers=ping.headers) if has_challenge(ping) else answer

    def _discover(self, registry: str) -> Remote:
        name = HUB_API if registry == HUB else registry
        profile = self.settings.profile(registry)
        limit = self.settings.concurrency or profile.concurrency
        trust = self.settings.trust(registry)
        remote = Remote(registry, f"https://{name}", profile, trust, AdaptiveLimiter(limit))
        if not profile.plain_http and not is_loopback(host_of(name)):
            return remote
        return self._probe(replace(remote, origin=f"http://{name}"), certain=profile.plain_http)

    def _probe(self, remote: Remote, *, certain: bool) -> Remote:
        """Finds out whether an address that may use plain HTTP does, or TLS. Nothing secret is sent."""
        secure = replace(remote, origin="https" + remote.origin.removeprefix("http"))
        answer = self._ping(remote)
        if answer is not None and answer.status in MOVED:
            target = answer.headers.get("Location")
            if host(target) == host(remote.origin) and target.startswith("https://"):
                return replace(remote, origin="https://" + target.split("/")[2])
        if (answer is None or answer.status == 400) and not certain and self._ping(secure) is not None:
            return secure
        if answer is not None:
            self._auth.learn(remote, answer)
        return remote

    def _ping(self, remote: Remote) -> Response | None:
        try:
            return self.http.exchange(wire.ping(remote.origin, "HEAD"), remote.trust, self.counters).read()
        except ConnectionFailed as fault:
            if not fault.retry and remote.origin.startswith("https") and "plain HTTP" not in fault.hint:
                raise  # a certificate that we don't believe: never a reason to go on without TLS
            return None

    def _warn(self, remote: Remote, text: str) -> None:
        with self._lock:
            new = (remote.registry, text) not in self._warned
            self._warned.add((remote.registry, text))
        if new:
            self.emit(Warned(remote.registry, text))


def has_challenge(answer: Response) -> bool:
    """Returns whether a response has a challenge, which names a way to log in."""
    return bool(answer.headers.all("WWW-Authenticate"))
