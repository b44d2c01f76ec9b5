"""Blobs into a repository: checked first, then mounted, then sent; several at once, each digest once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
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
from modelcrate.registry.remote import Remote
from modelcrate.registry.sources import KnownBlob, Source, Stream, UnhashedStream
from modelcrate.registry.transport import RegistryTransport
from modelcrate.registry.uploads import Uploader
from modelcrate.registry.wire import RepositoryAddress
from modelcrate_layers.content import Blob, Descriptor, Digest
from modelcrate_layers.errors import CrateError, RegistryError, UserError
from modelcrate_layers.frozen import dataclass, field, replace

MAX_MOUNT_SOURCES = 3
SMALL = 16 << 10
"""Bytes up to which a blob that is probably missing is sent without a check."""

KEPT = "what the registry has confirmed is noted: the same command goes on there"

LEAST_CHUNK = 256 << 10
"""Bytes of a chunk below which no smaller one is tried. Proxies refuse bodies from 1 MiB on, where nobody has set anything."""

How = Literal["known", "mounted", "sent", "resumed"]


@dataclass(frozen=True, slots=True)
class PushResult:
    """How a blob came into the registry, the bytes that were sent for it, and the requests that this took.

    A blob that `push_stream` sent is reported as sent by the next `push_all`, once.
    """

    descriptor: Descriptor
    bytes: int
    how: How
    requests: int


@dataclass(frozen=True, slots=True)
class _Started:
    """Uploads to a repository that started before the push of the image, and how to stop them."""

    stop: StopSignal
    sent: dict[Digest, Future[PushResult]] = field(default_factory=dict)


class Pusher:
    """Uploads for one client.

    If another thread sends a blob to the same registry, this waits for it, and then finds or mounts the blob.
    """

    def __init__(self, transport: RegistryTransport, stop: StopSignal) -> None:
        self._transport, self._stop = transport, stop
        self._journal = Journal(transport.settings.journal, transport.clock)
        self._journal.sweep()
        self._kept = False
        self._compared: dict[tuple[str, str], bool] = {}
        self._started: dict[str, _Started] = {}
        self._streamed: dict[tuple[str, Digest], PushResult] = {}

    def close(self) -> None:
        """Stops uploads that were started for a push that did not follow."""
        for started in self._started.values():
            started.stop.cancel()
            wait([each for each in started.sent.values() if not each.cancel()])

    def has(self, ref: Reference, descriptor: Descriptor, counters: Counters | None = None) -> bool:
        """Returns whether the repository has this blob. A registry that does not support HEAD counts as lacking it."""
        remote = self._transport.remote(ref.registry)
        request = wire.head_blob(
            remote.repository(ref.repository), descriptor.digest, [wire.push_access(ref.repository)]
        )
        doing = f"check of {descriptor.digest}"
        known = self._transport.blobs.has(ref.name, descriptor.digest)
        answer = self._transport.send(request, remote, doing, (200, 404, 405, 501), counters=counters)
        if answer.status != 200:
            if known:  # and not a blob that another push has sent since then
                self._transport.blobs.discard(ref.name, descriptor.digest)
            return False
        size = length(answer)
        if size is not None and size != descriptor.size:
            if answer.media_type == "text/html":
                return False  # a web page, which the next request finds
            text = f"it holds {descriptor.digest} with {size} bytes instead of {descriptor.size}; sending it again"
            self._transport.emit(Warned(ref.registry, text))
            return False
        self._transport.blobs.add(ref.name, descriptor.digest)
        return True

    def push(self, ref: Reference, blob: Blob, mount_from: Sequence[str], stop: StopSignal | None = None) -> PushResult:
        """Sends one blob, unless the repository has it."""
        counters = Counters(self._transport.counters)
        check_size(self._transport.remote(ref.registry), blob.descriptor)
        if self.has(ref, blob.descriptor, counters):
            return PushResult(blob.descriptor, 0, "known", counters.read().total)
        return self._push_missing(ref, blob, mount_from, counters, stop or self._stop)

    def begin(self, ref: Reference, blob: Blob) -> None:
        """Starts to send a blob and returns at once; `push_all` waits for it. A small one is left to that."""
        if blob.descriptor.size <= SMALL:
            return
        started = self._started.setdefault(ref.name, _Started(StopSignal(self._stop)))
        started.sent[blob.descriptor.digest] = self._transport.pool.submit(self.push, ref, blob, (), started.stop)

    def _push_missing(
        self,
        ref: Reference,
        blob: Blob,
        mount_from: Sequence[str],
        counters: Counters,
        stop: StopSignal,
        checked: bool = True,
    ) -> PushResult:
        """Sends what is missing. `checked`: a check found that it is; else a mount is tried first, which is a check as well."""
        descriptor, blobs = blob.descriptor, self._transport.blobs
        remote = self._transport.remote(ref.registry)
        if not checked and self._mount(ref, remote, descriptor.digest, mount_from, counters) is True:
            sent = PushResult(descriptor, 0, "mounted", counters.read().total)
        else:
            with self._transport.locks.hold((ref.registry, descriptor.digest), stop.check):
                if blobs.has(ref.name, descriptor.digest):  # another thread sent it
                    return PushResult(descriptor, 0, "known", 0)
                sent = self._send(ref, blob, mount_from, counters, stop, checked)
        blobs.add(ref.name, descriptor.digest)
        return sent

    def _send(
        self, ref: Reference, blob: Blob, mount_from: Sequence[str], counters: Counters, stop: StopSignal, checked: bool
    ) -> PushResult:
        descriptor, remote = blob.descriptor, self._transport.remote(ref.registry)
        with remote.limiter.slot():
            stop.check()
            session = self._mount(ref, remote, descriptor.digest, mount_from, counters)
            if session is True:
                return PushResult(descriptor, 0, "mounted", counters.read().total)
            if not checked and self.has(ref, descriptor, counters):
                return PushResult(descriptor, 0, "known", counters.read().total)
            resumed = self._upload(remote, ref, KnownBlob(blob, descriptor), counters, stop, session or None)
        traffic = counters.read()
        return PushResult(descriptor, traffic.sent, "resumed" if resumed else "sent", traffic.total)

    def push_all(
        self,
        ref: Reference,
        blobs: Iterable[Blob],
        mount_from: Sequence[str],
        known: Collection[Digest] = (),
        *,
        unasked: Collection[Digest] = (),
    ) -> list[PushResult]:
        """Sends several blobs at a time, the smallest first, and returns the results in the order given. The first error ends all.

        Args:
            ref: The repository.
            blobs: What it should have.
            mount_from: Repositories that may have them.
            known: Blobs that it is known to have; they are not checked.
            unasked: Blobs that are sent without a check, because they are probably missing, and a check would cost as much.
        """
        wanted = list(blobs)
        remote = self._transport.remote(ref.registry)
        for blob in wanted:
            check_size(remote, blob.descriptor)
        started = self._started.get(ref.name) or _Started(StopSignal(self._stop))
        known = started.sent.keys() | known
        unchecked = self._mountable(ref, {blob.descriptor.digest for blob in wanted}.difference(known))
        exists = self._check_all(ref, wanted, known, unchecked.union(unasked))
        first = {blob.descriptor.digest: n for n, blob in reversed(list(enumerate(wanted)))}
        order = sorted(first.values(), key=lambda n: wanted[n].descriptor.size)
        missing = [n for n in order if not exists[wanted[n].descriptor.digest]]
        waiting, found, stop = iter(missing), dict[int, PushResult](), started.stop

        def work() -> None:
            for n in waiting:  # shared: each takes the next one
                tally, checked = Counters(self._transport.counters), wanted[n].descriptor.digest not in unchecked
                found[n] = self._push_missing(ref, wanted[n], mount_from, tally, stop, checked)

        workers = min(len(missing), self._transport.settings.concurrency or remote.profile.concurrency)
        self._started.pop(ref.name, None)  # not before: until here a fault leaves it to `close`
        try:
            _wait_all([*started.sent.values(), *(self._transport.pool.submit(work) for _ in range(workers))], stop)
        except (ConnectionFailed, ErrorResponse) as fault:
            self._tell_what_is_kept(fault)  # of any blob, for the one that failed first may have nothing there
            raise
        found |= {first[digest]: sent.result() for digest, sent in started.sent.items() if digest in first}
        for digest, n in first.items():
            if n not in found and (sent := self._streamed.pop((ref.name, digest), None)):
                found[n] = sent
        return [found.get(n) or PushResult(blob.descriptor, 0, "known", 1) for n, blob in enumerate(wanted)]

    def _mountable(self, ref: Reference, digests: Collection[Digest]) -> frozenset[Digest]:
        """The blobs that need no check: another repository is known to have them, and this registry has mounted before."""
        cache = self._transport.blobs
        if not cache.mounts(ref.registry):
            return frozenset()
        return frozenset(
            digest for digest in digests if any(self._source(ref, holder) for holder in cache.holders(digest))
        )

    def _check_all(
        self, ref: Reference, blobs: Sequence[Blob], known: Collection[Digest], unchecked: Collection[Digest]
    ) -> dict[Digest, bool]:
        """Which blobs the repository has, each digest checked once, all at the same time, before anything is sent."""
        exists = dict.fromkeys(unchecked, False) | dict.fromkeys(known, True)
        wanted = {each.descriptor.digest: each.descriptor for each in blobs if each.descriptor.digest not in exists}
        found = self._transport.pool.map(lambda one: self.has(ref, one), wanted.values())
        return exists | dict(zip(wanted, found, strict=True))

    def push_stream(self, ref: Reference, stream: Stream) -> PushResult:
        """Sends a stream in one pass: it is hashed while it is sent, and named at the end."""
        counters = Counters(self._transport.counters)
        remote = self._transport.remote(ref.registry)
        limit = remote.profile.max_layer
        if limit is not None and stream.length is not None and stream.length > limit:
            raise too_large(remote, "a layer", stream.length, limit)
        with remote.limiter.slot():
            resumed = self._upload(remote, ref, UnhashedStream(stream), counters, self._stop, None)
        traffic = counters.read()
        sent = PushResult(stream.descriptor, traffic.sent, "resumed" if resumed else "sent", traffic.total)
        self._transport.blobs.add(ref.name, stream.descriptor.digest)
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
        while True:
            within = self._within_bodies(remote)
            try:
                return self._upload_once(within, ref, source, counters, stop, session)
            except ErrorResponse as fault:
                if not self._takes_smaller(fault, within, source):
                    raise
                session = None

    def _upload_once(
        self,
        remote: Remote,
        ref: Reference,
        source: Source,
        counters: Counters,
        stop: StopSignal,
        session: UploadSession | None,
    ) -> bool:
        method = (
            remote.profile.upload_method(source.length)
            if source.known
            else remote.profile.stream_method(source.key, source.length)
        )
        entry = (
            self._journal.entry(ref.name, source.key) if source.key and method != "put" else self._journal.no_entry()
        )
        address = remote.repository(ref.repository)
        try:
            return Uploader(self._transport, remote, address, source, entry, counters, stop.check).run(method, session)
        except (ConnectionFailed, ErrorResponse, Halted) as fault:
            noted = entry.read()
            self._kept = self._kept or bool(noted and noted.offset)
            self._tell_what_is_kept(fault)
            raise
        finally:
            entry.close()

    def _tell_what_is_kept(self, fault: CrateError) -> None:
        """Adds to an error that a later run goes on, where an upload of this one can."""
        if self._kept:
            fault.hint = fault.hint or KEPT

    def _within_bodies(self, remote: Remote) -> Remote:
        """The registry with chunks no larger than the bodies that it was found to take."""
        limit = self._transport.bodies.get(remote.registry, remote.profile.chunk_size)
        return replace(remote, profile=replace(remote.profile, chunk_size=min(remote.profile.chunk_size, limit)))

    def _takes_smaller(self, fault: ErrorResponse, remote: Remote, source: Source) -> bool:
        """Whether smaller bodies may help: a proxy refused one (413), and this registry takes chunks. Every upload uses them from then on."""
        in_chunks = remote.profile.upload == "chunks" and (source.known or source.key) and source.length is not None
        if fault.status != 413 or not in_chunks:
            return False
        refused = min(source.length or 0, remote.profile.chunk_size)
        smaller = max(LEAST_CHUNK, refused // 4)
        if smaller >= refused:
            return False
        bodies = self._transport.bodies
        bodies[remote.registry] = min(smaller, bodies.get(remote.registry, smaller))
        text = f"it refuses a body of {refused} bytes (413); chunks of {smaller} bytes are tried"
        self._transport.emit(Warned(remote.registry, text))
        return True

    def _mount(
        self, ref: Reference, remote: Remote, digest: Digest, mount_from: Sequence[str], counters: Counters
    ) -> UploadSession | bool:
        """Tries to mount a blob. True: it is mounted. Else the upload session that a refused mount opened, or False.

        The repositories that are named are tried first, then those that took this blob from us before.
        """
        address, session = remote.repository(ref.repository), None
        named = (self._source(ref, one) for one in (*mount_from, *self._transport.blobs.holders(digest)))
        for source in list(dict.fromkeys(filter(None, named)))[:MAX_MOUNT_SOURCES]:
            request = wire.mount(address, digest, source)
            try:
                answer = self._transport.send(request, remote, "mount", (201, 202), counters=counters)
            except (ErrorResponse, ConnectionFailed):
                continue  # the bytes are sent, then
            self._transport.blobs.set_mounts(ref.registry, taken=answer.status == 201)
            if answer.status == 201:
                self._transport.emit(Mounted(digest, source))
                return True
            session = self._opened(address, answer, request.url)
        return session or False

    def _opened(self, address: RepositoryAddress, answer: Response, url: str) -> UploadSession | None:
        try:
            location = wire.upload_location(answer, url, "mount")
        except RegistryError:
            return None
        session = UploadSession(location, 0, wire.minimum_chunk(answer))
        return session if location.startswith(f"{address.origin}/") else None

    def _source(self, ref: Reference, source: str) -> str | None:
        """The repository to mount from; None for another registry, other credentials, or the target itself."""
        first, slash, rest = source.partition("/")
        if slash and first == ref.registry:
            source = rest
        elif slash and is_registry(first) and (set(first) & set(".:[") or first == "localhost"):
            return None
        if source == ref.repository:
            return None
        return source if self._same_credentials(ref, source) else None

    def _same_credentials(self, ref: Reference, source: str) -> bool:
        """Whether the same credentials are used for both repositories. Remembered, because a keychain is a program to start."""
        key = (ref.name, source)
        if key not in self._compared:
            settings = self._transport.settings
            both = [credentials.find(ref.registry, name, settings) for name in (ref.repository, source)]
            ours, others = ((each.basic, each.identity_token) if each else None for each in both)
            self._compared[key] = ours == others
        return self._compared[key]


def _wait_all(futures: Sequence[Future[Any]], stop: StopSignal) -> None:
    """Waits for all. After an error what has not started is dropped, and what runs is stopped.

    An upload keeps its session where the registry failed, so that the next run continues it.
    """
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
    """Raises UserError before the first byte where the registry's limit is known to be lower."""
    limit = remote.profile.max_layer
    if limit is not None and descriptor.size > limit:
        raise too_large(remote, str(descriptor.digest), descriptor.size, limit)


def too_large(remote: Remote, what: str, size: int, limit: int) -> UserError:
    """Returns the error for a layer that is larger than the registry accepts."""
    return UserError(
        f"{what} has {size} bytes, and {remote.registry} takes at most {limit} for one layer",
        hint="split the model's files into several layers, or set `max-layer` for this registry in registries.yaml",
    )
