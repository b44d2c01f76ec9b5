"""Downloads of files (index pages, packages): streamed, verified, stored complete or not at all, several at once."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelcrate.events import Advanced, Emit, Finished, Started, ignore_event
from modelcrate.net.config import HttpConfig
from modelcrate.net.keyed_lock import KeyedLock
from modelcrate_layers.atomic import Incoming, incoming
from modelcrate_layers.errors import CrateError, IntegrityError, RegistryError, SourceError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.store import as_machine_error

if TYPE_CHECKING:
    from modelcrate.net.client import HttpClient
    from modelcrate.net.counters import Traffic
    from modelcrate.net.credentials import Credentials
    from modelcrate.net.fetch import UrlReader
    from modelcrate.net.retry import Clock

WORKERS = 8

GIT_BLOB = "git blob"
"""The id that Git gives a file: a SHA-1 over its size and its bytes."""


@dataclass(frozen=True, slots=True)
class Download:
    """A file to download.

    Attributes:
        label: Its name, for people.
        urls: The URLs that may have it, in order.
        path: Where it goes.
        sha256: Its SHA-256 in hex; empty where only another hash is known.
        size: Its bytes.
        other: For a file without a SHA-256, another algorithm and its hex digits: one of hashlib's, or `GIT_BLOB`, for which its
            size has to be known, too.
    """

    label: str
    urls: tuple[str, ...]
    path: Path
    sha256: str
    size: int | None = None
    other: tuple[str, str] = (GIT_BLOB, "")

    @property
    def digest(self) -> tuple[str, str]:
        """The expected digest: its algorithm and its hex digits."""
        return ("sha256", self.sha256) if self.sha256 else self.other

    def hasher(self) -> Any:
        """Returns a new hash object for the expected digest."""
        algorithm, _ = self.digest
        if algorithm == GIT_BLOB:
            return hashlib.sha1(b"blob %d\0" % (self.size or 0), usedforsecurity=False)
        return hashlib.new(algorithm, usedforsecurity=False)


class Downloader:
    """Downloads files over one HTTP client. Use it in a `with`.

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
        emit: Emit = ignore_event,
        *,
        clock: Clock | None = None,
        http: HttpClient | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        self._config, self._emit = config, emit
        self._parts = (clock, http, credentials)
        self._locks, self._lock = KeyedLock(), threading.Lock()
        self._opened: UrlReader | None = None

    @property
    def offline(self) -> bool:
        """Whether the network must not be used."""
        return self._config.offline

    @property
    def traffic(self) -> Traffic:
        """Requests and bytes so far."""
        return self._urls.traffic

    def __enter__(self) -> Downloader:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._opened is not None:
            self._opened.close()

    @property
    def _urls(self) -> UrlReader:
        """Made at the first use, for a build that has everything must not wait for the network's modules."""
        with self._lock:
            if self._opened is None:
                from modelcrate.net.fetch import UrlReader

                self._opened = UrlReader(self._config, self._emit, *self._parts)
            return self._opened

    def text(self, url: str, limit: int, accept: str = "*/*") -> bytes:
        """Returns a small document.

        Raises:
            NotFound: The server does not have it.
            RegistryError: It has more than `limit` bytes, or the server failed.
        """
        return self._urls.read(url, limit, accept)

    def size(self, url: str) -> int | None:
        """Returns the size of a file in bytes, without its bytes; None where the server does not send it.

        Raises:
            RegistryError: The network must not be used, or the server refused the login.
        """
        return self._urls.size(url)

    def part(self, url: str, count: int) -> bytes | None:
        """Returns the first `count` bytes of a file; None where the server sends no parts of files.

        Raises:
            NotFound: The server does not have it.
            RegistryError: The server failed, or the network must not be used.
        """
        return self._urls.part(url, count)

    def download(self, wanted: Download) -> Path:
        """Returns the path of the file, which is downloaded unless it exists. The first URL that has the right bytes counts.

        Of several threads that want the same file, one downloads it and the others wait.

        Raises:
            NotFound: The only server does not have it.
            IntegrityError: The bytes have another digest or size.
            RegistryError: No server could be used, or the network must not be.
        """
        with self._locks.hold(wanted.path):
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
                f"{wanted.label} is not in the cache, and --offline forbids fetching it", hint=str(wanted.path)
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
        from modelcrate.net.errors import NotFound
        from modelcrate.net.messages import Headers, Request, Response

        what = f"{wanted.label} can't be fetched from any of {len(faults)} places"
        if all(isinstance(fault, NotFound) for fault in faults):
            raise NotFound(Request("GET", wanted.urls[0]), Response(404, Headers()), what, also=faults)
        wrong = any(isinstance(fault, IntegrityError) for fault in faults)
        raise (IntegrityError if wrong else RegistryError)(what, also=faults)

    def _store(self, url: str, wanted: Download) -> None:
        folder = wanted.path.parent
        with as_machine_error(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with incoming(folder) as out:
                self._copy(self._urls.chunks(url, wanted.size), out, wanted, _shown(url))
                out.keep_first(wanted.path)

    def _copy(self, body: Iterable[bytes], out: Incoming, wanted: Download, where: str) -> None:
        hashed, size = wanted.hasher(), 0
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
        algorithm, expected = wanted.digest
        if hashed.hexdigest() != expected:
            raise IntegrityError(
                f"{wanted.label} has the wrong digest: should have {algorithm} {expected}, has {hashed.hexdigest()}",
                where=where,
                hint="the server's copy is damaged or was replaced; nothing of it was kept",
            )


def _shown(url: str) -> str:
    """The URL without what may be secret."""
    from modelcrate.net.urls import redacted

    return redacted(url.partition("?")[0])
