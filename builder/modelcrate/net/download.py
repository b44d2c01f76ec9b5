"""Downloads of files (index pages, packages): streamed, verified, stored complete or not at all, several at once."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from modelcrate.events import Advanced, Emit, Finished, Notice, Started, silent
from modelcrate.net.client import HttpClient, Reply
from modelcrate.net.config import HttpConfig
from modelcrate.net.counters import Counters, Traffic
from modelcrate.net.errors import GONE, ErrorResponse, NotFound
from modelcrate.net.events import Retrying
from modelcrate.net.keyed_lock import KeyedLock
from modelcrate.net.messages import Headers, Request, Response
from modelcrate.net.resume import resumed
from modelcrate.net.retry import Clock, RetryEngine, SystemClock
from modelcrate.net.tls import Trust
from modelcrate.net.urls import host_and_port, is_address, origin, split_login
from modelcrate_layers.atomic import Incoming, incoming
from modelcrate_layers.content import CHUNK
from modelcrate_layers.errors import CrateError, IntegrityError, RegistryError, SourceError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.store import as_machine_error

if TYPE_CHECKING:
    from modelcrate.net.credentials import IndexCredentials, Login

DownloadConfig = HttpConfig
"""The former name."""

WORKERS = 8
MAX_ERROR_PAGE = 64 << 10


@dataclass(frozen=True, slots=True)
class Download:
    """A file that is wanted: the places that may have it, in order, and the digest and size that it must have."""

    label: str
    urls: tuple[str, ...]
    path: Path
    sha256: str
    size: int | None = None


class Downloader:
    """Downloads over one HTTP client. Use it in a `with`.

    Args:
        config: The network's configuration.
        emit: Receives progress.
        clock: Waits between attempts.
        http: The client whose connections are used. It stays open; without it the downloader has one of its own.
        credentials: Finds logins; by default those of the environment and of configuration files.
    """

    def __init__(
        self,
        config: HttpConfig,
        emit: Emit = silent,
        *,
        clock: Clock | None = None,
        http: HttpClient | None = None,
        credentials: IndexCredentials | None = None,
    ) -> None:
        self._config, self._emit = config, emit
        self._http, self._owner = http or HttpClient(config), http is None
        self._given = credentials
        self._engine = RetryEngine(config.patience, clock or SystemClock(), self._announce)
        self._trust = Trust.of(config)
        self._counters = Counters(self._http.counters)
        self._locks = KeyedLock()
        self._lock = threading.Lock()
        self._announced: set[str] = set()
        self._logins: dict[str, Login] = {}

    @cached_property
    def _credentials(self) -> IndexCredentials:
        from modelcrate.net.credentials import IndexCredentials

        return self._given or IndexCredentials(self._config)

    @property
    def offline(self) -> bool:
        """Whether the network must not be used."""
        return self._config.offline

    @property
    def traffic(self) -> Traffic:
        """Requests and bytes so far."""
        return self._counters.read()

    def __enter__(self) -> Downloader:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._owner:
            self._http.close()

    def text(self, url: str, limit: int, accept: str = "*/*") -> bytes:
        """Returns a small document.

        Raises:
            NotFound: The server does not have it.
            RegistryError: It has more than `limit` bytes, or the server failed.
        """
        if (path := self._local(url)) is not None:
            with _opened(path) as chunks:
                data = next(chunks(limit + 1), b"")
            if len(data) > limit:
                raise RegistryError(f"has more than {limit} bytes", where=str(path))
            return data
        return self._engine.run(lambda: self._open(url, {"Accept": accept}, (200,)).read(limit)).body

    def download(self, wanted: Download) -> Path:
        """Returns the path of the file, which is downloaded unless it exists. The first URL that has the right bytes counts.

        Of several threads that want the same file, one downloads it and the others wait.

        Raises:
            NotFound: The only server does not have it.
            IntegrityError: The bytes have another digest or size.
            RegistryError: No server could be used, or the network must not be.
        """
        with self._locks.taken(wanted.path):
            return wanted.path if wanted.path.exists() else self._from_any(wanted)

    def download_all(self, wanted: Sequence[Download]) -> list[Path]:
        """Downloads several files at a time and returns their paths in the order of the argument. The first error ends all."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(WORKERS) as pool:
            waiting = [pool.submit(self.download, each) for each in wanted]
            try:
                return [each.result() for each in waiting]
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _from_any(self, wanted: Download) -> Path:
        if self.offline and not any(url.startswith("file:") for url in wanted.urls):
            raise RegistryError(
                f"{wanted.label} is not in the cache, and --offline forbids to fetch it", hint=str(wanted.path)
            )
        faults: list[CrateError] = []
        for url in wanted.urls:
            try:
                self._emit(Started(wanted.label, wanted.size))
                self._store(url, wanted)
                self._emit(Finished(wanted.label))
                return wanted.path
            except (RegistryError, IntegrityError, SourceError) as fault:
                faults.append(fault)
        if not faults:
            raise RegistryError(f"no address is known for {wanted.label}")
        if len(faults) == 1:
            raise faults[0]
        what = f"{wanted.label} can't be had from any of {len(faults)} places"
        if all(isinstance(fault, NotFound) for fault in faults):
            raise NotFound(Request("GET", wanted.urls[0]), Response(404, Headers()), what, also=faults)
        wrong = any(isinstance(fault, IntegrityError) for fault in faults)
        raise (IntegrityError if wrong else RegistryError)(what, also=faults)

    def _store(self, url: str, wanted: Download) -> None:
        folder = wanted.path.parent
        with as_machine_error(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with incoming(folder) as out:
                if (path := self._local(url)) is not None:
                    with _opened(path) as chunks:
                        self._copy(chunks(), out, wanted, str(path))
                else:
                    where = Request("GET", url).where()
                    body = resumed(
                        lambda headers, ok: self._open(url, headers, ok), wanted.size, self._engine, lambda: None, where
                    )
                    self._copy(body, out, wanted, where)
                out.keep(wanted.path)

    def _copy(self, body: Iterable[bytes], out: Incoming, wanted: Download, where: str) -> None:
        hashed, size = hashlib.sha256(), 0
        for chunk in body:
            size += len(chunk)
            if wanted.size is not None and size > wanted.size:
                break
            hashed.update(chunk)
            with as_machine_error(wanted.path.parent):  # inside, or a full disk would pass for a broken connection
                out.write(chunk)
            self._emit(Advanced(wanted.label, len(chunk)))
        if wanted.size is not None and size != wanted.size:
            raise IntegrityError(f"{wanted.label} should have {wanted.size} bytes, got {size} or more", where=where)
        if hashed.hexdigest() != wanted.sha256:
            raise IntegrityError(
                f"{wanted.label} is not what was asked for: wanted sha256 {wanted.sha256}, got {hashed.hexdigest()}",
                where=where,
                hint="the server's copy is damaged or was replaced; nothing of it was kept",
            )

    def _local(self, url: str) -> Path | None:
        """The path of a file: URL; None for http and https, which has to be allowed."""
        if url.startswith("file:") and "\0" not in unquote(url):
            return Path(unquote(urlsplit(url).path))
        if not is_address(url) or "\0" in unquote(url):
            known = url.partition("://")[0] in ("http", "https")
            raise RegistryError(
                "not an address" if known or "://" not in url else "only http, https and file addresses can be fetched",
                where=repr(split_login(url)[0][:200]),
            )
        if self.offline:
            where = Request("GET", url).where()
            raise RegistryError("is wanted, and --offline forbids to fetch it", where=where)
        return None

    def _open(self, url: str, headers: Mapping[str, str], ok: Collection[int]) -> Reply:
        """One request, with a login where one is known, and once more with another one where the server refuses it."""
        bare = split_login(url)[0]
        request = Request("GET", bare, {"Accept": "*/*", **headers})
        sent: dict[str, Login | None] = {}

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

    def _login(self, url: str) -> Login | None:
        return self._logins.get(origin(url)) or self._credentials.find(url)

    def _refused(self, request: Request, answer: Response, login: Login | None) -> ErrorResponse:
        from http import HTTPStatus

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
            hint = f"put the login for {place} into a .netrc, or into the index URL as an environment variable"
        return error(request, answer, f"{place} answered {status}{phrase}", where=where, why=why, hint=hint)

    def _announce(self, event: object) -> None:
        """Say once for each host that it is tried again."""
        if isinstance(event, Retrying):
            place = host_and_port(event.where.rpartition(" ")[2])
            with self._lock:
                new = place not in self._announced
                self._announced.add(place)
            if new:
                self._emit(Notice(f"{place}: {event.why}; trying again for a while"))


@contextmanager
def _opened(path: Path) -> Iterator[Callable[..., Iterator[bytes]]]:
    """The chunks of a local file."""
    try:
        with open(path, "rb") as file:

            def chunks(size: int = CHUNK) -> Iterator[bytes]:
                while chunk := file.read(size):
                    yield chunk

            yield chunks
    except FileNotFoundError:
        raise NotFound(
            Request("GET", path.as_uri()), Response(404, Headers()), "is not there", where=str(path)
        ) from None
    except OSError as fault:
        raise SourceError(f"can't be read: {fault.strerror}", where=str(path)) from None
