"""Manifests and blobs out of a registry or its mirrors: verified, capped, and continued where a stream breaks off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from modelcrate.images.reference import Reference
from modelcrate.registry import documents, wire
from modelcrate.registry.errors import ConnectionFailed, ErrorResponse, error_response
from modelcrate.registry.events import Warned
from modelcrate.registry.profiles import Mirror
from modelcrate.registry.registry_transport import RegistryTransport
from modelcrate.registry.remote import Remote
from modelcrate.registry.transport import Reply
from modelcrate.registry.wire import RepositoryAddress
from modelcrate_layers.content import MAX_JSON, Descriptor, verified
from modelcrate_layers.errors import CrateError, IntegrityError, RegistryError
from modelcrate_layers.frozen import dataclass

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Puller:
    """The receiving side of one client."""

    courier: RegistryTransport
    check: Callable[[], None]

    def sources(self, ref: Reference) -> list[Mirror]:
        """Whom to ask, in order: the mirrors of the registry, then itself. Credentials are each host's own."""
        return [*self.courier.settings.habits(ref.registry).mirrors, Mirror(ref.registry)]

    def reach(self, source: Mirror, ref: Reference) -> tuple[Remote, RepositoryAddress]:
        """One of them, looked at only when it is needed."""
        remote = self.courier.remote(source.host)
        return remote, remote.place(ref.repository, ref.registry if source.proxy else None)

    def resolve(self, ref: Reference) -> Descriptor:
        """The descriptor of what the reference names; from a HEAD where that tells all, else from the manifest
        itself."""

        def ask(remote: Remote, place: RepositoryAddress) -> Descriptor:
            request = wire.head_manifest(place, ref.target, [wire.pulls(place.repository)])
            answer = self.courier.send(request, remote, f"manifest {ref}", (200, 404, 405, 501))
            told = wire.described(answer, request.where()) if answer.status == 200 else None
            if remote.registry == ref.registry and (told or answer.status == 404):
                self.courier.seen.tagged(ref.name, ref.target, told.digest if told else None)
            if answer.status == 404:
                raise error_response(request, answer, f"manifest {ref}", self.courier.clock.now())
            if told is None:
                return self._manifest(remote, place, ref)[0]
            if ref.digest and told.digest != ref.digest:
                raise IntegrityError(
                    f"the registry names {told.digest} where {ref.digest} was asked for", where=str(ref)
                )
            return told

        return self.first(ref, ask)

    def manifest(self, ref: Reference) -> tuple[Descriptor, bytes]:
        """The raw bytes and their descriptor, verified."""
        return self.first(ref, lambda remote, place: self._manifest(remote, place, ref))

    def _manifest(self, remote: Remote, place: RepositoryAddress, ref: Reference) -> tuple[Descriptor, bytes]:
        request = wire.get_manifest(place, ref.target)
        answer = self.courier.send(request, remote, f"manifest {ref}")
        descriptor = documents.check_document(answer, ref.digest, request.where())
        if remote.registry == ref.registry:  # and not one of its mirrors
            self.courier.seen.gave(ref.name, descriptor.digest, answer.body)
        return descriptor, answer.body

    def first(self, ref: Reference, ask: Callable[[Remote, RepositoryAddress], T]) -> T:
        """The first place that answers well; the last one's fault where none does."""
        *mirrors, last = self.sources(ref)
        for mirror in mirrors:
            try:
                return ask(*self.reach(mirror, ref))
            except CrateError as fault:
                self.courier.emit(Warned(mirror.host, f"this mirror was of no use: {fault.what}"))
        return ask(*self.reach(last, ref))


@dataclass(frozen=True, slots=True)
class RemoteBlob:
    """A blob in a registry, as a Blob: it streams, verified from the start, and goes on by Range when a stream
    breaks off."""

    puller: Puller
    ref: Reference
    descriptor: Descriptor

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """The bytes from `start`. A stream from 0 is held to the descriptor; one from elsewhere to its length."""
        stream = self._bytes(start)
        if start == 0:
            return verified(stream, self.descriptor, f"{self.ref.name}@{self.descriptor.digest}")
        return stream

    def there(self) -> bool:
        """Whether it can still be had, by one HEAD. A registry that can't be asked is taken for one that lacks it."""

        def ask(remote: Remote, place: RepositoryAddress) -> bool:
            request = wire.head_blob(place, self.descriptor.digest, [wire.pulls(place.repository)])
            doing = f"question for {self.descriptor.digest}"
            answer = self.puller.courier.send(request, remote, doing, (200, 404, 405, 501))
            there = answer.status == 200 and wire.length(answer) in (None, self.descriptor.size)
            if there and remote.registry == self.ref.registry:
                self.puller.courier.seen.said(self.ref.name, self.descriptor.digest)
            return there

        return self.puller.first(self.ref, ask)

    def read(self, limit: int = MAX_JSON) -> bytes:
        """All bytes of a small blob (a config)."""
        if self.descriptor.size > limit:
            raise IntegrityError(
                f"a blob of {self.descriptor.size} bytes; the limit here is {limit}", where=str(self.ref)
            )
        return b"".join(self.chunks())

    def _bytes(self, start: int) -> Iterator[bytes]:
        sources = self.puller.sources(self.ref)
        at, failures, etag = start, 0, ""
        while at < self.descriptor.size or (self.descriptor.size == 0 and failures == 0):
            self.puller.check()
            before = at
            try:
                with self._open(*self.puller.reach(sources[0], self.ref), at, etag) as reply:
                    etag = reply.answer.headers.get("ETag")
                    for chunk in self._from(reply, at):
                        self.puller.check()
                        at += len(chunk)
                        yield chunk
                        if at > self.descriptor.size:
                            return  # one byte too many: `verified` says so
                if at < self.descriptor.size:
                    raise ConnectionFailed(reply.request, f"it ended after {at} of {self.descriptor.size} bytes")
                return
            except (ConnectionFailed, ErrorResponse) as fault:
                failures = 1 if at > before else failures + 1
                if len(sources) > 1:
                    sources, failures = sources[1:], 0
                else:
                    self.puller.courier.engine.pause(fault, failures)

    def _open(self, remote: Remote, place: RepositoryAddress, at: int, etag: str) -> Reply:
        strong = etag if etag.startswith('"') else ""
        request = replace(wire.get_blob(place, self.descriptor.digest, at, strong), repeat=False)  # we repeat it here
        reply = self.puller.courier.open(request, remote, f"blob {self.descriptor.digest}", (200, 206))
        if reply.answer.status == 206 and wire.partial_start(reply.answer) != at:
            reply.close()  # it answers another question; without a Range it can't
            request = replace(request, headers={})
            reply = self.puller.courier.open(request, remote, f"blob {self.descriptor.digest}", (200,))
        return reply

    def _from(self, reply: Reply, at: int) -> Iterator[bytes]:
        """The bytes from `at`, whether the registry skipped those before it or we have to."""
        skip = at if reply.answer.status == 200 else 0
        total = wire.length(reply.answer)
        if total is not None and total != self.descriptor.size - (at - skip):
            why = f"{total} bytes announced, {self.descriptor.size - (at - skip)} expected"
            raise IntegrityError(f"{self.descriptor.digest} has the wrong size", where=str(self.ref), why=why)
        for chunk in reply.chunks():
            if skip >= len(chunk):
                skip -= len(chunk)
                continue
            yield chunk[skip:]
            skip = 0


def foreign_urls(descriptor: Descriptor) -> None:
    """Refuse a layer that lives elsewhere (`urls`): following those would let a manifest send us, and others,
    anywhere."""
    if descriptor.rest.get("urls") and "foreign" in descriptor.media_type:
        raise RegistryError(f"{descriptor.digest} is a foreign layer, kept by somebody else; it is not fetched")
