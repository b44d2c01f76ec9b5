"""Plain downloads (indexes, packages): streamed, verified, put in place whole or not at all, several at once.

The registry protocol is not here. Like all of `registry/`, this is where `requests` may be imported.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from modelcrate.events import Advanced, Emit, Finished, Started, silent
from modelcrate.net.keyed_lock import KeyedLock
from modelcrate_layers.atomic import Incoming, incoming
from modelcrate_layers.content import CHUNK
from modelcrate_layers.errors import CrateError, IntegrityError, RegistryError, SourceError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.store import as_machine_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

CONNECT_SECONDS, IDLE_SECONDS = 10.0, 60.0
ATTEMPTS = 4
WORKERS = 8
_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_GONE = frozenset({404, 410})


@dataclass(frozen=True, slots=True)
class DownloadConfig:
    """How the network may be used. `environment` is where proxies and certificates are looked up; `offline` opens no socket."""

    environment: Mapping[str, str] = field(default_factory=dict)
    offline: bool = False


class NotFoundError(RegistryError):
    """The server answered, and does not have it (404, 410)."""


@dataclass(frozen=True, slots=True)
class Download:
    """A file that is wanted: the places that may have it, in order, and what it has to be."""

    label: str
    urls: tuple[str, ...]
    path: Path
    sha256: str
    size: int | None = None


class Downloader:
    """Downloads over one pool of connections. Close it, or use it in a `with`; it is not a frozen value for the pool's sake."""

    def __init__(
        self, network: DownloadConfig, emit: Emit = silent, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._network, self._emit, self._sleep = network, emit, sleep
        self._session: requests.Session | None = None
        self._turns = KeyedLock()

    @property
    def offline(self) -> bool:
        """Whether the network may not be used."""
        return self._network.offline

    def __enter__(self) -> Downloader:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._session is not None:
            self._session.close()

    def text(self, url: str, limit: int, accept: str = "*/*") -> bytes:
        """A small document; more than `limit` bytes are refused."""
        with self._open(url, accept) as body:
            data = body.read(limit + 1)
        if len(data) > limit:
            raise RegistryError(f"sent more than {limit} bytes", where=_safe(url))
        return data

    def download(self, wanted: Download) -> Path:
        """The file under its path, fetched unless it is there, verified while it streams. The first URL that has it wins.

        Of several threads that want it, one fetches and the others wait.
        """
        with self._turns.taken(wanted.path):
            return wanted.path if wanted.path.exists() else self._fetched(wanted)

    def _fetched(self, wanted: Download) -> Path:
        if self._network.offline and not any(url.startswith("file:") for url in wanted.urls):
            raise RegistryError(
                f"{wanted.label} is not in the cache, and --offline forbids to fetch it", hint=str(wanted.path)
            )
        faults: list[CrateError] = []
        for url in wanted.urls:
            try:
                self._emit(Started(wanted.label, wanted.size))
                self._into(url, wanted)
                self._emit(Finished(wanted.label))
                return wanted.path
            except (RegistryError, IntegrityError, SourceError) as fault:
                faults.append(fault)
        if not faults:
            raise RegistryError(f"nobody was named who has {wanted.label}")
        if len(faults) == 1:
            raise faults[0]
        raise _worst(faults)(f"{wanted.label} can't be had from any of {len(faults)} places", also=faults)

    def download_all(self, wanted: Sequence[Download]) -> list[Path]:
        """All of them, several at a time, in the order of the argument; the first fault ends the rest."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(WORKERS) as pool:
            waiting = [pool.submit(self.download, each) for each in wanted]
            try:
                return [each.result() for each in waiting]
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _into(self, url: str, wanted: Download) -> None:
        folder = wanted.path.parent
        with as_machine_error(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with incoming(folder) as out, self._open(url, "*/*") as body:
                self._copy(body, out, wanted, url)
                out.keep(wanted.path)

    def _copy(self, body: IO[bytes], out: Incoming, wanted: Download, url: str) -> None:
        hashed, size = hashlib.sha256(), 0
        while chunk := body.read(CHUNK):
            size += len(chunk)
            if wanted.size is not None and size > wanted.size:
                break
            hashed.update(chunk)
            with as_machine_error(wanted.path.parent):  # inside, or a full disk would pass for a broken connection
                out.write(chunk)
            self._emit(Advanced(wanted.label, len(chunk)))
        if wanted.size is not None and size != wanted.size:
            raise IntegrityError(
                f"{wanted.label} should have {wanted.size} bytes, got {size} or more", where=_safe(url)
            )
        if hashed.hexdigest() != wanted.sha256:
            raise IntegrityError(
                f"{wanted.label} is not what was asked for: wanted sha256 {wanted.sha256}, got {hashed.hexdigest()}",
                where=_safe(url),
                hint="the server's copy is damaged or was replaced; nothing of it was kept",
            )

    @contextmanager
    def _open(self, url: str, accept: str) -> Iterator[IO[bytes]]:
        if not _is_url(url):
            raise RegistryError("an address that is none", where=repr(url[:200]))
        parts = urlsplit(url)
        if parts.scheme == "file":
            try:
                with open(unquote(parts.path), "rb") as body:
                    yield body
            except FileNotFoundError:
                raise NotFoundError("is not there", where=unquote(parts.path)) from None
            except OSError as fault:
                raise SourceError(f"can't be read: {fault.strerror}", where=unquote(parts.path)) from None
            return
        if parts.scheme not in ("http", "https"):
            raise RegistryError("only http, https and file addresses can be fetched", where=_safe(url))
        if self._network.offline:
            raise RegistryError("is wanted, and --offline forbids to fetch it", where=_safe(url))
        with self._answer(url, accept) as body:
            yield body

    @contextmanager
    def _answer(self, url: str, accept: str) -> Iterator[Any]:
        import requests
        import urllib3

        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = self._ask(url, accept)
            except requests.RequestException as fault:
                if attempt == ATTEMPTS:
                    raise RegistryError("can't be reached", where=_safe(url), why=_reason(fault)) from None
            else:
                if answer.status_code not in _AGAIN or attempt == ATTEMPTS:
                    break
                answer.close()
            self._sleep(0.5 * 2**attempt)
        with answer:
            if answer.status_code != 200:
                error = NotFoundError if answer.status_code in _GONE else RegistryError
                raise error(f"answered {answer.status_code} {answer.reason or ''}".strip(), where=_safe(url))
            try:
                yield answer.raw
            except (urllib3.exceptions.HTTPError, OSError) as fault:
                raise RegistryError("broke off in the middle", where=_safe(url), why=_reason(fault)) from None

    def _ask(self, url: str, accept: str) -> requests.Response:
        import requests
        from requests.utils import should_bypass_proxies

        if self._session is None:
            self._session = requests.Session()
            self._session.trust_env = False  # no .netrc: a password is sent only where the project says so
            adapter = requests.adapters.HTTPAdapter(pool_maxsize=WORKERS, max_retries=0)
            self._session.mount("https://", adapter)
            self._session.mount("http://", adapter)
        environment = self._network.environment
        scheme = urlsplit(url).scheme
        proxy = next(
            (environment[n] for n in (f"{scheme}_proxy", f"{scheme.upper()}_PROXY") if environment.get(n)), None
        )
        bypass = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
        proxies = {scheme: proxy} if proxy and not should_bypass_proxies(url, bypass) else {}
        verify = environment.get("SSL_CERT_FILE") or environment.get("REQUESTS_CA_BUNDLE") or True
        return self._session.get(
            url,
            headers={"Accept": accept, "Accept-Encoding": "identity", "User-Agent": "modelcrate"},
            timeout=(CONNECT_SECONDS, IDLE_SECONDS),
            stream=True,
            proxies=proxies,
            verify=verify,
        )


def _worst(faults: Sequence[CrateError]) -> type[CrateError]:
    """The class of several faults: theirs, where it is one; else that of wrong bytes, if there were any."""
    kinds = {type(fault) for fault in faults}
    if len(kinds) == 1:
        return kinds.pop()
    return IntegrityError if IntegrityError in kinds else RegistryError


def _is_url(url: str) -> bool:
    """Whether it can be taken apart at all: its brackets, its port; and names no file that no system has."""
    try:
        return urlsplit(url).port != 0 and "\0" not in unquote(url)
    except ValueError:
        return False


def _safe(url: str) -> str:
    """The URL without what may be secret: user, password, query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


def _reason(fault: BaseException) -> str:
    inner: BaseException = fault
    while inner.__context__ is not None or inner.__cause__ is not None:
        inner = inner.__cause__ or inner.__context__ or inner
    return f"{type(inner).__name__}: {inner}"[:300]
