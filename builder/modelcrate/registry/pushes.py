"""Blobs into a repository: asked for first, then mounted, then sent; several at once, each digest once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from dataclasses import field
from typing import Any, Literal

from modelcrate.images.reference import Reference, is_registry
from modelcrate.net.cancellation import Halted, StopSignal
from modelcrate.net.counters import Counters
from modelcrate.net.errors import ConnectionFailed, ErrorResponse
from modelcrate.net.messages import Response
from modelcrate.net.resume import length
from modelcrate.registry import credentials, wire
from modelcrate.registry.events import Mounted, Warned
from modelcrate.registry.journal import Journal, UploadSession
from modelcrate.registry.registry_transport import RegistryTransport
from modelcrate.registry.remote import Remote
from modelcrate.registry.sources import Named, Source, Stream, Unnamed
from modelcrate.registry.uploads import Uploader
from modelcrate.registry.wire import RepositoryAddress
from modelcrate_layers.content import Blob, Descriptor, Digest
from modelcrate_layers.errors import RegistryError, UserError
from modelcrate_layers.frozen import dataclass

MAX_MOUNT_SOURCES = 3
SMALL = 16 << 10
"""Bytes up to which a blob that is probably missing is sent without a question."""

How = Literal["known", "mounted", "sent", "resumed"]


@dataclass(frozen=True, slots=True)
class PushResult:
    """How a blob came to be in the registry: the bytes sent for it, and the requests that it took."""

    descriptor: Descriptor
    bytes: int
    how: How
    requests: int


@dataclass(frozen=True, slots=True)
class _Begun:
    """What is on its way to a repository before it was asked for, and how to end it."""

    stop: StopSignal
    sent: dict[Digest, Future[PushResult]] = field(default_factory=dict)


class Pusher:
    """The sending side of one client. What another is sending to the same registry is waited for, and then found or mounted."""

    def __init__(self, courier: RegistryTransport, stop: StopSignal) -> None:
        self._courier, self._stop = courier, stop
        self._journal = Journal(courier.settings.journal, courier.clock)
        self._journal.sweep()
        self._same: dict[tuple[str, str], bool] = {}
        self._begun: dict[str, _Begun] = {}
        self._streamed: dict[tuple[str, Digest], PushResult] = {}

    def close(self) -> None:
        """End what was begun for a push that never came."""
        for begun in self._begun.values():
            begun.stop.cancel()
            wait([each for each in begun.sent.values() if not each.cancel()])

    def has(self, ref: Reference, descriptor: Descriptor, counters: Counters | None = None) -> bool:
        """Whether the repository holds this blob. A registry that can't be asked is taken for one that lacks it."""
        remote = self._courier.remote(ref.registry)
        request = wire.head_blob(remote.place(ref.repository), descriptor.digest, [wire.pushes(ref.repository)])
        doing = f"question for {descriptor.digest}"
        believed = self._courier.seen.has(ref.name, descriptor.digest)
        answer = self._courier.send(request, remote, doing, (200, 404, 405, 501), counters=counters)
        if answer.status != 200:
            if believed:  # not what another push may have brought there since the question
                self._courier.seen.lost(ref.name, descriptor.digest)
            return False
        size = length(answer)
        if size is not None and size != descriptor.size:
            if answer.media_type == "text/html":
                return False  # a web page, which the next request finds
            text = f"it holds {descriptor.digest} with {size} bytes instead of {descriptor.size}; sending it again"
            self._courier.emit(Warned(ref.registry, text))
            return False
        self._courier.seen.said(ref.name, descriptor.digest)
        return True

    def push(self, ref: Reference, blob: Blob, mount_from: Sequence[str], stop: StopSignal | None = None) -> PushResult:
        """Bring one blob there, if it is not."""
        counters = Counters(self._courier.counters)
        check_size(self._courier.remote(ref.registry), blob.descriptor)
        if self.has(ref, blob.descriptor, counters):
            return PushResult(blob.descriptor, 0, "known", counters.read().total)
        return self._once(ref, blob, mount_from, counters, stop or self._stop)

    def begin(self, ref: Reference, blob: Blob) -> None:
        """Bring one blob there while the caller goes on; `push_all` waits for it. A small one isn't worth a head start."""
        if blob.descriptor.size <= SMALL:
            return
        begun = self._begun.setdefault(ref.name, _Begun(StopSignal(self._stop)))
        begun.sent[blob.descriptor.digest] = self._courier.pool.submit(self.push, ref, blob, (), begun.stop)

    def _once(
        self,
        ref: Reference,
        blob: Blob,
        mount_from: Sequence[str],
        counters: Counters,
        stop: StopSignal,
        asked: bool = True,
    ) -> PushResult:
        """Bring there what is missing. `asked`: the registry has said that it is; else a mount is tried first, which says as much."""
        descriptor, seen = blob.descriptor, self._courier.seen
        remote = self._courier.remote(ref.registry)
        if not asked and self._mount(ref, remote, descriptor.digest, mount_from, counters) is True:
            sent = PushResult(descriptor, 0, "mounted", counters.read().total)
        else:
            with self._courier.turns.taken((ref.registry, descriptor.digest), stop.check):
                if seen.has(ref.name, descriptor.digest):  # by then
                    return PushResult(descriptor, 0, "known", 0)
                sent = self._send(ref, blob, mount_from, counters, stop, asked)
        seen.said(ref.name, descriptor.digest)
        return sent

    def _send(
        self, ref: Reference, blob: Blob, mount_from: Sequence[str], counters: Counters, stop: StopSignal, asked: bool
    ) -> PushResult:
        descriptor, remote = blob.descriptor, self._courier.remote(ref.registry)
        with remote.gate.inside():
            stop.check()
            session = self._mount(ref, remote, descriptor.digest, mount_from, counters)
            if session is True:
                return PushResult(descriptor, 0, "mounted", counters.read().total)
            if not asked and self.has(ref, descriptor, counters):
                return PushResult(descriptor, 0, "known", counters.read().total)
            resumed = self._upload(remote, ref, Named(blob, descriptor), counters, stop, session or None)
        traffic = counters.read()
        return PushResult(descriptor, traffic.sent, "resumed" if resumed else "sent", traffic.total)

    def push_all(
        self,
        ref: Reference,
        blobs: Iterable[Blob],
        mount_from: Sequence[str],
        known: Collection[Digest] = (),
        *,
        new: bool = False,
    ) -> list[PushResult]:
        """All of them, in the order given; the smallest are sent first, and the first fault ends the rest.

        What is `known` to be there is not asked for; nor, where the image is `new` there, what is so small that sending it costs no more.
        """
        wanted = list(blobs)
        remote = self._courier.remote(ref.registry)
        for blob in wanted:
            check_size(remote, blob.descriptor)
        begun = self._begun.get(ref.name) or _Begun(StopSignal(self._stop))
        known = begun.sent.keys() | known
        unasked = self._mountable(ref, {blob.descriptor.digest for blob in wanted}.difference(known))
        small = {each.descriptor.digest for each in wanted if new and each.descriptor.size <= SMALL}
        there = self._ask(ref, wanted, known, unasked | small)
        first = {blob.descriptor.digest: n for n, blob in reversed(list(enumerate(wanted)))}
        order = sorted(first.values(), key=lambda n: wanted[n].descriptor.size)
        missing = [n for n in order if not there[wanted[n].descriptor.digest]]
        waiting, found, stop = iter(missing), dict[int, PushResult](), begun.stop

        def work() -> None:
            for n in waiting:  # shared: each takes the next one
                tally, asked = Counters(self._courier.counters), wanted[n].descriptor.digest not in unasked
                found[n] = self._once(ref, wanted[n], mount_from, tally, stop, asked)

        workers = min(len(missing), self._courier.settings.concurrency or remote.habits.concurrency)
        self._begun.pop(ref.name, None)  # not before: until here a fault leaves it to `close`
        _done([*begun.sent.values(), *(self._courier.pool.submit(work) for _ in range(workers))], stop)
        found |= {first[digest]: sent.result() for digest, sent in begun.sent.items() if digest in first}
        for digest, n in first.items():
            if n not in found and (sent := self._streamed.pop((ref.name, digest), None)):
                found[n] = sent
        return [found.get(n) or PushResult(blob.descriptor, 0, "known", 1) for n, blob in enumerate(wanted)]

    def _mountable(self, ref: Reference, digests: Collection[Digest]) -> frozenset[Digest]:
        """Those that need no question: another repository is known to hold them, and this registry has mounted before."""
        seen = self._courier.seen
        if not seen.mounts(ref.registry):
            return frozenset()
        return frozenset(
            digest for digest in digests if any(self._source(ref, holder) for holder in seen.holders(digest))
        )

    def _ask(
        self, ref: Reference, blobs: Sequence[Blob], known: Collection[Digest], unasked: Collection[Digest]
    ) -> dict[Digest, bool]:
        """Which are there, each digest asked for once, all at the same time, before anything is sent."""
        there = dict.fromkeys(unasked, False) | dict.fromkeys(known, True)
        wanted = {each.descriptor.digest: each.descriptor for each in blobs if each.descriptor.digest not in there}
        asked = self._courier.pool.map(lambda one: self.has(ref, one), wanted.values())
        return there | dict(zip(wanted, asked, strict=True))

    def push_stream(self, ref: Reference, stream: Stream) -> PushResult:
        """One pass: sent while it is hashed, named at the end."""
        counters = Counters(self._courier.counters)
        remote = self._courier.remote(ref.registry)
        limit = remote.habits.max_layer
        if limit is not None and stream.length is not None and stream.length > limit:
            raise too_large(remote, "a layer", stream.length, limit)
        with remote.gate.inside():
            resumed = self._upload(remote, ref, Unnamed(stream), counters, self._stop, None)
        traffic = counters.read()
        sent = PushResult(stream.descriptor, traffic.sent, "resumed" if resumed else "sent", traffic.total)
        self._courier.seen.said(ref.name, stream.descriptor.digest)
        self._streamed[ref.name, stream.descriptor.digest] = sent
        return sent

    def _upload(
        self,
        remote: Remote,
        ref: Reference,
        source: Source,
        counters: Counters,
        stop: StopSignal,
        session: UploadSession | None,
    ) -> bool:
        way = (
            remote.habits.way(source.length) if source.known else remote.habits.way_of_stream(source.key, source.length)
        )
        entry = self._journal.entry(ref.name, source.key) if source.key and way != "put" else self._journal.nothing()
        place = remote.place(ref.repository)
        try:
            return Uploader(self._courier, remote, place, source, entry, counters, stop.check).run(way, session)
        finally:
            entry.close()

    def _mount(
        self, ref: Reference, remote: Remote, digest: Digest, mount_from: Sequence[str], counters: Counters
    ) -> UploadSession | bool:
        """True where a mount did it; the session that a refused mount opened; False where there is none.

        Beside the repositories that are named, those are asked that took this blob from us before.
        """
        place, session = remote.place(ref.repository), None
        named = (self._source(ref, one) for one in (*mount_from, *self._courier.seen.holders(digest)))
        for source in list(dict.fromkeys(filter(None, named)))[:MAX_MOUNT_SOURCES]:
            request = wire.mount(place, digest, source)
            try:
                answer = self._courier.send(request, remote, "mount", (201, 202), counters=counters)
            except (ErrorResponse, ConnectionFailed):
                continue  # a mount is a favour: without it the bytes are sent
            self._courier.seen.mounted(ref.registry, taken=answer.status == 201)
            if answer.status == 201:
                self._courier.emit(Mounted(digest, source))
                return True
            session = self._opened(place, answer, request.url)
        return session or False

    def _opened(self, place: RepositoryAddress, answer: Response, asked: str) -> UploadSession | None:
        try:
            location = wire.upload_location(answer, asked, "mount")
        except RegistryError:
            return None
        session = UploadSession(location, 0, wire.minimum_chunk(answer))
        return session if location.startswith(f"{place.origin}/") else None

    def _source(self, ref: Reference, source: str) -> str | None:
        """The repository to mount from; None for another registry, other credentials, or the target itself."""
        first, slash, rest = source.partition("/")
        if slash and first == ref.registry:
            source = rest
        elif slash and is_registry(first) and (set(first) & set(".:[") or first == "localhost"):
            return None
        if source == ref.repository:
            return None
        return source if self._alike(ref, source) else None

    def _alike(self, ref: Reference, source: str) -> bool:
        """Whether the same credentials are used for both repositories. Found once: a keychain is a program that has to be started."""
        key = (ref.name, source)
        if key not in self._same:
            settings = self._courier.settings
            both = [credentials.find(ref.registry, name, settings) for name in (ref.repository, source)]
            ours, theirs = ((each.basic, each.identity_token) if each else None for each in both)
            self._same[key] = ours == theirs
        return self._same[key]


def _done(futures: Sequence[Future[Any]], stop: StopSignal) -> None:
    """Wait for all. On a fault what has not begun is not begun; what runs ends soon, and keeps its session where the fault
    is a registry's, so that the next run goes on."""
    try:
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        fault = next((one.exception() for one in done if one.exception()), None)
        if fault:
            raise fault
    except (ConnectionFailed, ErrorResponse, Halted):
        stop.halt()
        raise
    except BaseException:
        stop.cancel()
        raise
    finally:
        wait([future for future in futures if not future.cancel()])


def check_size(remote: Remote, descriptor: Descriptor) -> None:
    """Raise before the first byte where the registry's limit is known to be lower."""
    limit = remote.habits.max_layer
    if limit is not None and descriptor.size > limit:
        raise too_large(remote, str(descriptor.digest), descriptor.size, limit)


def too_large(remote: Remote, what: str, size: int, limit: int) -> UserError:
    return UserError(
        f"{what} has {size} bytes, and {remote.registry} takes at most {limit} for one layer",
        hint="split the model's files into several layers, or set `max-layer` for this registry in registries.yaml",
    )
