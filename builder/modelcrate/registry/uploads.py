"""How one blob gets into a registry, whatever happens on the way.

Three ways (quirks.Upload): all bytes in the PUT; one streamed PATCH; PATCHes of a chunk each. The registry's
own count of
what it holds (Range) is believed, never ours: docker-registry 2.8.2 appends whatever comes, wherever it claims
to belong.
After a cut the registry is asked for its count and the upload goes on there; where it has lost or spoilt the session
(docker-registry does that when a PATCH breaks off half-way), this is said and the blob begins anew.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import field, replace

from modelcrate.net.addresses import check_hop
from modelcrate.net.cancellation import Halted
from modelcrate.net.counters import Counters
from modelcrate.net.errors import ConnectionFailed, ErrorResponse
from modelcrate.net.messages import Response
from modelcrate.net.resume import length
from modelcrate.registry import wire
from modelcrate.registry.events import Moved, Restarted, Resumed, Waiting
from modelcrate.registry.journal import JournalEntry, UploadSession
from modelcrate.registry.profiles import Upload
from modelcrate.registry.registry_transport import RegistryTransport
from modelcrate.registry.remote import Remote
from modelcrate.registry.sources import Part, Reader, Source
from modelcrate.registry.wire import RegistryRequest, RepositoryAddress
from modelcrate_layers.content import Digest
from modelcrate_layers.errors import CrateError, IntegrityError, RegistryError
from modelcrate_layers.frozen import dataclass

ACCEPTED = frozenset({200, 201, 204})
PART_ACCEPTED = frozenset({200, 201, 202, 204})
UNSUPPORTED = frozenset({405, 411, 415, 501})


class Unresumable(Exception):  # noqa: N818  (errors are named after what happened)
    """Inside this module: the session can't be continued; the text says why."""


class Arrived(Exception):  # noqa: N818  (errors are named after what happened)
    """Inside this module: the blob is there, although the answer that said so got lost."""


class Unchunkable(Exception):  # noqa: N818  (errors are named after what happened)
    """Inside this module: this registry takes no chunks; the text says why."""


@dataclass(slots=True)
class Ledger:
    """What happened to one upload so far. It changes with every chunk."""

    failures: int = 0
    restarts: int = 0
    shown: int = 0
    refused_ranges: int = 0
    resumed: bool = False
    session: UploadSession | None = None


@dataclass(frozen=True, slots=True)
class Uploader:
    """One blob on its way into one repository. `check` raises where the transfer was cancelled."""

    courier: RegistryTransport
    remote: Remote
    place: RepositoryAddress
    source: Source
    entry: JournalEntry
    counters: Counters
    check: Callable[[], None]
    ledger: Ledger = field(default_factory=Ledger)

    def run(self, way: Upload, session: UploadSession | None = None) -> bool:
        """Bring it there; `session` is one that a mount left open. True where an earlier run's upload was continued."""
        try:
            while True:
                try:
                    self._transfer(way, session)
                    break
                except Arrived:
                    break
                except Unchunkable as reason:
                    self._restart(str(reason))
                    way, session = "put", None
                except Unresumable as reason:
                    self._restart(str(reason))
                    session = None
        except (ConnectionFailed, ErrorResponse, Halted):
            raise  # what is sent stays noted: the next run goes on from there
        except BaseException:
            self._cancel()
            raise
        self.entry.forget()
        return self.ledger.resumed

    def _transfer(self, way: Upload, session: UploadSession | None) -> None:
        reader = Reader(self.source, self.check)
        current = session or self._continued(way) or self._begin()
        while True:
            try:
                if way == "put":
                    return self._put_all(reader, current)
                current = self._parts(reader, way, current)
                return self._finish(current)
            except (ConnectionFailed, ErrorResponse) as fault:
                current = self._recover(fault, way, current)

    def _begin(self) -> UploadSession:
        doing = f"upload of {self.source.name}"
        request = wire.start_upload(self.place)
        answer = self.courier.send(request, self.remote, doing, (200, 201, 202), counters=self.counters)
        return self._noted(UploadSession(self._location(answer, request.url), 0, wire.minimum_chunk(answer)))

    def _continued(self, way: Upload) -> UploadSession | None:
        """The upload that an earlier run left behind, if the registry still has it."""
        noted = self.entry.read() if way != "put" else None
        if noted is None or not self.remote.owns(noted.location):
            return None
        try:
            session = self._status(noted)
        except (Unresumable, ConnectionFailed, ErrorResponse) as fault:
            why = str(fault) if isinstance(fault, Unresumable) else f"the registry lost it ({fault.args[0]})"
            self.courier.emit(Restarted(self.source.name, why))
            return None
        if session.offset == 0:
            return None
        self.ledger.resumed = True
        self.courier.emit(Resumed(self.source.name, session.offset))
        return session

    def _parts(self, reader: Reader, way: Upload, session: UploadSession) -> UploadSession:
        length = self.source.length
        while length is None or session.offset < length:
            size = self._size(way, session)
            part = Part(reader, session.offset, size, self._moved)
            request = wire.send_part(self.place, session.location, part, session.offset if way == "chunks" else None)
            answer = self._send_part(request, session)
            session = self._after(answer, session, size, request.url)
            if length is None:
                break
        if self.source.known is None and length is not None and not reader.ended:
            for _ in reader.take(length, 0):  # nothing is left to send, but a stream has its name from being read
                pass
        return session

    def _size(self, way: Upload, session: UploadSession) -> int | None:
        if self.source.length is None:
            return None
        left = self.source.length - session.offset
        return min(max(self.remote.habits.chunk_size, session.minimum), left) if way == "chunks" else left

    def _send_part(self, request: RegistryRequest, session: UploadSession) -> Response:
        doing = f"upload of {self.source.name}"
        try:
            return self.courier.send(request, self.remote, doing, PART_ACCEPTED, counters=self.counters)
        except ErrorResponse as fault:
            if fault.status in UNSUPPORTED or "UNSUPPORTED" in fault.codes:
                raise self._unchunkable(f"the registry takes no chunks ({fault.status})") from None
            if fault.status == 416:
                self.ledger.refused_ranges += 1
                if self.ledger.refused_ranges > 1:
                    raise self._unchunkable("the registry refuses our chunks (416)") from None
            raise

    def _unchunkable(self, why: str) -> Exception:
        return Unchunkable(why) if self.source.known else RegistryError(f"a layer can't be streamed there: {why}")

    def _after(self, answer: Response, session: UploadSession, size: int | None, asked: str) -> UploadSession:
        """Where the upload stands after a part, by the registry's word."""
        location = self._location(answer, asked) if answer.headers.get("Location") else session.location
        held = wire.stored(answer)
        if size is None:
            return self._noted(replace(session, location=location, offset=self.ledger.shown))
        expected = session.offset + size
        if held is None or (held == 0 and expected == 1):
            held = expected
        if held > expected:
            raise Unresumable(f"the registry holds {held} bytes where {expected} were sent")
        if held <= session.offset:
            self._delete(location)
            raise self._unchunkable("the registry accepts chunks but does not keep them (its Range stands still)")
        self.ledger.failures = self.ledger.refused_ranges = 0
        return self._noted(replace(session, location=location, offset=held))

    def _recover(self, fault: ConnectionFailed | ErrorResponse, way: Upload, session: UploadSession) -> UploadSession:
        """What to go on with after a failure; raises the fault where nothing helps."""
        gone = isinstance(fault, ErrorResponse) and (
            fault.status in (404, 410, 416) or bool(fault.codes & {"BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN"})
        )
        self.remote.gate.groaned()
        self.ledger.failures += 1
        if gone and self.ledger.failures < self.courier.settings.patience.attempts:
            pass  # not a matter of time: ask for the state at once
        else:
            self.courier.engine.pause(fault, self.ledger.failures)
        self.check()
        if self._there():
            raise Arrived
        if way == "put":
            return self._begin()
        state = self._status(session)
        return state if state.offset else self._begin()  # "0-0" means no byte or one: not worth the doubt

    def _there(self) -> bool:
        """Whether the blob arrived although the answer got lost."""
        if self.source.known is None:
            return False
        request = wire.head_blob(self.place, self.source.known, [wire.pushes(self.place.repository)])
        with suppress(ErrorResponse, ConnectionFailed):
            answer = self.courier.send(request, self.remote, "question", (200,), counters=self.counters)
            return length(answer) in (None, self.source.length)
        return False

    def _status(self, session: UploadSession) -> UploadSession:
        """The session as the registry has it (end-13). Raises Unresumable where it can't be continued."""
        request = wire.upload_status(self.place, session.location)
        try:
            answer = self.courier.send(request, self.remote, "question", (200, 204), counters=self.counters)
        except ErrorResponse as fault:
            raise Unresumable(f"the registry can't continue an upload that was cut ({fault.status})") from None
        held = wire.stored(answer)
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
        assert digest is not None  # a stream never goes this way
        assert self.source.length is not None
        self._put(session, digest, Part(reader, 0, self.source.length, self._moved))

    def _finish(self, session: UploadSession) -> None:
        self.courier.emit(Waiting(self.source.name))
        self._put(session, self.source.digest(), None)

    def _put(self, session: UploadSession, digest: Digest, body: Part | None) -> None:
        request = wire.finish_upload(self.place, session.location, digest, body)
        patience = self.courier.settings.timeouts.finishing(self.source.length or session.offset)
        doing = f"upload of {self.source.name}"
        try:
            answer = self.courier.send(request, self.remote, doing, ACCEPTED, counters=self.counters, patience=patience)
        except ErrorResponse as fault:
            if (fault.codes & {"DIGEST_INVALID", "SIZE_INVALID"} and fault.status != 413) or (
                fault.status == 400 and self.ledger.resumed
            ):
                raise self._spoilt(fault) from None
            raise
        wire.confirm_digest(answer, digest, request.where())

    def _spoilt(self, fault: ErrorResponse) -> Exception:
        """The registry computed another digest. Once it may have mixed up a resumed session; twice it is our bytes."""
        if self.ledger.restarts == 0:
            return Unresumable("the registry says that its bytes are not ours")
        return IntegrityError("the registry computed another digest", where=fault.where, why=fault.why)

    def _location(self, answer: Response, asked: str) -> str:
        location = wire.upload_location(answer, asked, f"upload of {self.source.name}")
        check_hop(answer.url or asked, location, f"upload of {self.source.name}")
        return location

    def _noted(self, session: UploadSession) -> UploadSession:
        self.ledger.session = session
        self.entry.note(session)
        return session

    def _moved(self, done: int) -> None:
        if done > self.ledger.shown:
            self.ledger.shown = done
            self.courier.emit(Moved(self.source.known, self.source.name, done, self.source.length))

    def _restart(self, why: str) -> None:
        self.entry.forget()
        self.ledger.restarts += 1
        self.ledger.resumed = False
        self.remote.gate.groaned()
        if self.ledger.restarts >= self.courier.settings.patience.attempts:
            raise RegistryError(f"the upload of {self.source.name} failed {self.ledger.restarts} times", why=why)
        self.courier.emit(Restarted(self.source.name, why))

    def _cancel(self) -> None:
        if self.ledger.session:
            self._delete(self.ledger.session.location)
        self.entry.forget()

    def _delete(self, location: str) -> None:
        """end-14, best effort: most registries sweep anyway."""
        with suppress(CrateError):
            request = wire.cancel_upload(self.place, location)
            self.courier.send(request, self.remote, "cancelling", range(200, 500), counters=self.counters)
