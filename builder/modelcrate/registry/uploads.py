"""The upload of one blob.

There are three methods (profiles.Upload): all bytes in the PUT; one streamed PATCH; one PATCH for each chunk. The
registry's own count of the bytes that it has (Range) is used, never ours: docker-registry 2.8.2 appends whatever comes,
whatever its Content-Range. After an interruption a request reads the registry's count, and the upload continues there. Where
it lost or damaged the session (docker-registry does when a PATCH breaks off), the upload starts again, with an event.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from modelcrate.net.addresses import check_hop
from modelcrate.net.cancellation import Halted
from modelcrate.net.counters import Counters
from modelcrate.net.errors import ConnectionFailed, ErrorResponse
from modelcrate.net.messages import Response
from modelcrate.net.resume import PROGRESS, length
from modelcrate.net.retry import attempts_of
from modelcrate.net.urls import host_and_port
from modelcrate.registry import wire
from modelcrate.registry.events import Moved, Restarted, Resumed, Waiting
from modelcrate.registry.journal import JournalEntry, UploadSession
from modelcrate.registry.profiles import Upload
from modelcrate.registry.remote import Remote
from modelcrate.registry.sources import Part, Reader, Source
from modelcrate.registry.transport import RegistryTransport
from modelcrate.registry.wire import RegistryRequest, RepositoryAddress
from modelcrate_layers.content import Digest
from modelcrate_layers.errors import CrateError, IntegrityError, RegistryError
from modelcrate_layers.frozen import dataclass, field, replace

ACCEPTED = frozenset({200, 201, 202, 204})
"""The manifest that names the blob proves it: registries refuse one whose blobs they lack."""

PART_ACCEPTED = frozenset({200, 201, 202, 204})
UNSUPPORTED = frozenset({405, 411, 415, 501})


class Unresumable(Exception):  # noqa: N818  (errors are named after what happened)
    """Signals, inside this module, that the session can't be continued. The text is the reason."""


class AlreadyStored(Exception):  # noqa: N818  (errors are named after what happened)
    """Signals, inside this module, that the registry has the blob, although the response with that news was lost."""


class Unchunkable(Exception):  # noqa: N818  (errors are named after what happened)
    """Signals, inside this module, that the registry takes no chunks. The text is the reason."""


@dataclass(slots=True)
class UploadState:
    """What happened in one upload so far. It changes with every chunk."""

    failures: int = 0
    restarts: int = 0
    shown: int = 0
    refused_ranges: int = 0
    resumed: bool = False
    session: UploadSession | None = None


@dataclass(frozen=True, slots=True)
class Uploader:
    """The upload of one blob into one repository. `check` raises where the transfer was cancelled."""

    transport: RegistryTransport
    remote: Remote
    address: RepositoryAddress
    source: Source
    entry: JournalEntry
    counters: Counters
    check: Callable[[], None]
    state: UploadState = field(default_factory=UploadState)

    def run(self, method: Upload, session: UploadSession | None = None) -> bool:
        """Sends the blob. Returns whether the upload of an earlier run was continued.

        Args:
            method: How it is uploaded.
            session: One that a refused mount opened.

        Raises:
            RegistryError: The registry failed in as many attempts as the settings allow.
            IntegrityError: The registry computed another digest, twice.
        """
        try:
            while True:
                try:
                    self._transfer(method, session)
                    break
                except AlreadyStored:
                    break
                except Unchunkable as reason:
                    self._restart(str(reason))
                    method, session = "put", None
                except Unresumable as reason:
                    self._restart(str(reason))
                    session = None
        except (ConnectionFailed, ErrorResponse, Halted):
            raise  # what was sent stays noted, so that the next run continues there
        except BaseException:
            self._cancel()
            raise
        self.entry.forget()
        return self.state.resumed

    def _transfer(self, method: Upload, session: UploadSession | None) -> None:
        reader = Reader(self.source, self.check)
        current = session or self._continued(method) or self._begin()
        while True:
            try:
                if method == "put":
                    return self._put_all(reader, current)
                current = self._parts(reader, method, current)
                return self._finish(current)
            except (ConnectionFailed, ErrorResponse) as fault:
                current = self._recover(fault, method, self.state.session or current)

    def _begin(self) -> UploadSession:
        doing = f"upload of {self.source.name}"
        request = wire.start_upload(self.address)
        answer = self.transport.send(request, self.remote, doing, (200, 201, 202), counters=self.counters)
        return self._noted(UploadSession(self._location(answer, request.url), 0, wire.minimum_chunk(answer)))

    def _continued(self, method: Upload) -> UploadSession | None:
        """The upload of an earlier run, if the registry still has it."""
        noted = self.entry.read() if method != "put" else None
        if noted is None or not self.remote.owns(noted.location):
            return None
        try:
            session = self._status(noted)
        except (Unresumable, ConnectionFailed, ErrorResponse) as fault:
            why = str(fault) if isinstance(fault, Unresumable) else f"the registry lost it ({fault.args[0]})"
            self.transport.emit(Restarted(self.source.name, why))
            return None
        if session.offset == 0:
            return None
        self.state.resumed = True
        self.transport.emit(Resumed(self.source.name, session.offset))
        return session

    def _parts(self, reader: Reader, method: Upload, session: UploadSession) -> UploadSession:
        length = self.source.length
        while length is None or session.offset < length:
            size = self._size(method, session)
            part = Part(reader, session.offset, size, self._moved)
            request = wire.send_part(
                self.address, session.location, part, session.offset if method == "chunks" else None
            )
            answer = self._send_part(request, session)
            session = self._after(answer, session, size, request)
            if length is None:
                break
        if self.source.known is None and length is not None and not reader.ended:
            for _ in reader.take(length, 0):  # nothing is left to send, but a stream has its name from being read
                pass
        return session

    def _size(self, method: Upload, session: UploadSession) -> int | None:
        if self.source.length is None:
            return None
        left = self.source.length - session.offset
        return min(max(self.remote.profile.chunk_size, session.minimum), left) if method == "chunks" else left

    def _send_part(self, request: RegistryRequest, session: UploadSession) -> Response:
        doing = f"upload of {self.source.name}"
        try:
            return self.transport.send(request, self.remote, doing, PART_ACCEPTED, counters=self.counters)
        except ErrorResponse as fault:
            if fault.status in UNSUPPORTED or "UNSUPPORTED" in fault.codes:
                raise self._unchunkable(f"the registry takes no chunks ({fault.status})") from None
            if fault.status == 416:
                self.state.refused_ranges += 1
                if self.state.refused_ranges > 1:
                    raise self._unchunkable("the registry refuses our chunks (416)") from None
            raise

    def _unchunkable(self, why: str) -> Exception:
        return Unchunkable(why) if self.source.known else RegistryError(f"a layer can't be streamed there: {why}")

    def _after(
        self, answer: Response, session: UploadSession, size: int | None, request: RegistryRequest
    ) -> UploadSession:
        """The session after a part, by the registry's own count."""
        location = self._location(answer, request.url) if answer.headers.get("Location") else session.location
        held = wire.stored_bytes(answer)
        if size is None:
            return self._noted(replace(session, location=location, offset=self.state.shown))
        expected = session.offset + size
        if held is None or (held == 0 and expected == 1):
            held = expected
        if held > expected:
            raise Unresumable(f"the registry holds {held} bytes where {expected} were sent")
        if held <= session.offset:
            self._delete(location)
            raise self._unchunkable("the registry accepts chunks but does not keep them (its Range stands still)")
        if held - session.offset < min(size, PROGRESS):
            raise ConnectionFailed(request, f"it keeps {held - session.offset} of {size} bytes")
        self.state.failures = self.state.refused_ranges = 0
        return self._noted(replace(session, location=location, offset=held))

    def _recover(
        self, fault: ConnectionFailed | ErrorResponse, method: Upload, session: UploadSession
    ) -> UploadSession:
        """The session to continue with after a failure. Raises the failure where nothing helps."""
        gone = isinstance(fault, ErrorResponse) and (
            fault.status in (404, 410, 416) or bool(fault.codes & {"BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN"})
        )
        self.remote.limiter.failed()
        self.state.failures += attempts_of(fault)
        if gone and self.state.failures < self.transport.settings.patience.attempts:
            pass  # waiting does not help: request the state at once
        else:
            self.transport.engine.pause(fault, self.state.failures)
        self.check()
        if self._is_stored():
            raise AlreadyStored
        if method == "put":
            return self._begin()
        state = self._status(session)
        return state if state.offset else self._begin()  # "0-0" means no byte or one

    def _is_stored(self) -> bool:
        """Whether the registry has the blob, although its response was lost."""
        if self.source.known is None:
            return False
        request = wire.head_blob(self.address, self.source.known, [wire.push_access(self.address.repository)])
        with suppress(ErrorResponse, ConnectionFailed):
            answer = self.transport.send(request, self.remote, "check", (200,), counters=self.counters)
            return length(answer) in (None, self.source.length)
        return False

    def _status(self, session: UploadSession) -> UploadSession:
        """The session by the registry's own count (end-13). Raises Unresumable where it can't be continued."""
        request = wire.upload_status(self.address, session.location)
        try:
            answer = self.transport.send(request, self.remote, "check", (200, 204), counters=self.counters)
        except ErrorResponse as fault:
            raise Unresumable(f"the registry can't continue an upload that was cut ({fault.status})") from None
        held = wire.stored_bytes(answer)
        length = self.source.length
        if held is None or (length is not None and held > length):
            raise Unresumable("the registry does not say how much it holds")
        if held < session.offset:
            raise Unresumable(f"the registry kept only {held} of {session.offset} bytes")
        location = self._location(answer, request.url) if answer.headers.get("Location") else session.location
        minimum = wire.minimum_chunk(answer) or session.minimum
        return self._noted(UploadSession(location, held, minimum))

    def _put_all(self, reader: Reader, session: UploadSession) -> None:
        digest = self.source.known
        assert digest is not None  # a stream is never sent by this method
        assert self.source.length is not None
        self._put(session, digest, Part(reader, 0, self.source.length, self._moved))

    def _finish(self, session: UploadSession) -> None:
        self.transport.emit(Waiting(self.source.name))
        self._put(session, self.source.digest(), None)

    def _put(self, session: UploadSession, digest: Digest, body: Part | None) -> None:
        request = wire.finish_upload(self.address, session.location, digest, body)
        patience = self.transport.settings.timeouts.finishing(self.source.length or session.offset)
        doing = f"upload of {self.source.name}"
        try:
            answer = self.transport.send(
                request, self.remote, doing, ACCEPTED, counters=self.counters, patience=patience
            )
        except ErrorResponse as fault:
            if (fault.codes & {"DIGEST_INVALID", "SIZE_INVALID"} and fault.status != 413) or (
                fault.status == 400 and self.state.resumed
            ):
                raise self._digest_fault(fault) from None
            raise
        wire.confirm_digest(answer, digest, request.where())

    def _digest_fault(self, fault: ErrorResponse) -> Exception:
        """The registry computed another digest. The first time a resumed session may be damaged; the second time our bytes are."""
        if self.state.restarts == 0:
            return Unresumable("the registry says that its bytes are not ours")
        return IntegrityError("the registry computed another digest", where=fault.where, why=fault.why)

    def _location(self, answer: Response, url: str) -> str:
        where = f"upload of {self.source.name} to {host_and_port(url)}"
        location = wire.upload_location(answer, url, where)
        check_hop(answer.url or url, location, where)
        return location

    def _noted(self, session: UploadSession) -> UploadSession:
        self.state.session = session
        self.entry.note(session)
        return session

    def _moved(self, done: int) -> None:
        if done > self.state.shown:
            self.state.shown = done
            self.transport.emit(Moved(self.source.known, self.source.name, done, self.source.length))

    def _restart(self, why: str) -> None:
        self.entry.forget()
        self.state.restarts += 1
        self.state.resumed = False
        self.remote.limiter.failed()
        if self.state.restarts >= self.transport.settings.patience.attempts:
            raise RegistryError(f"the upload of {self.source.name} failed {self.state.restarts} times", why=why)
        self.transport.emit(Restarted(self.source.name, why))

    def _cancel(self) -> None:
        if self.state.session:
            self._delete(self.state.session.location)
        self.entry.forget()

    def _delete(self, location: str) -> None:
        """end-14. A failure is ignored: registries remove unused sessions themselves."""
        with suppress(CrateError):
            request = wire.cancel_upload(self.address, location)
            self.transport.send(request, self.remote, "cancelling", range(200, 500), counters=self.counters)
