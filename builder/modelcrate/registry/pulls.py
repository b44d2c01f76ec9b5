"""Manifests and blobs out of a registry or its mirrors: verified, capped, and continued where a stream breaks off."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from modelcrate.images.reference import Reference
from modelcrate.net.cancellation import Cancelled, Halted
from modelcrate.net.client import Reply
from modelcrate.net.config import Patience
from modelcrate.net.resume import length, resumed
from modelcrate.net.retry import RetryEngine
from modelcrate.registry import documents, wire
from modelcrate.registry.errors import error_response
from modelcrate.registry.events import Warned, silent
from modelcrate.registry.profiles import Mirror
from modelcrate.registry.registry_transport import RegistryTransport
from modelcrate.registry.remote import Remote
from modelcrate.registry.wire import RepositoryAddress
from modelcrate_layers.content import CHUNK, MAX_JSON, Descriptor, verified
from modelcrate_layers.errors import CrateError, IntegrityError, RegistryError
from modelcrate_layers.frozen import dataclass

T = TypeVar("T")

IN_MEMORY = 8 << 20
"""Bytes of a mirror's blob that are kept in memory until they are verified; more go to a temporary file."""


@dataclass(frozen=True, slots=True)
class Puller:
    """The receiving side of one client."""

    courier: RegistryTransport
    check: Callable[[], None]

    def mirrors(self, ref: Reference) -> tuple[Mirror, ...]:
        """The mirrors of the registry, in their order. Credentials are each host's own."""
        return self.courier.settings.habits(ref.registry).mirrors

    def leave(self, mirror: Mirror, fault: BaseException) -> None:
        """Warn that a mirror is of no use."""
        what = fault.what if isinstance(fault, CrateError) else str(fault)
        self.courier.emit(Warned(mirror.host, f"this mirror was of no use: {what}"))

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
        for mirror in self.mirrors(ref):
            try:
                return ask(*self.reach(mirror, ref))
            except CrateError as fault:
                self.leave(mirror, fault)
        return ask(*self.reach(Mirror(ref.registry), ref))


@dataclass(frozen=True, slots=True)
class RemoteBlob:
    """A blob in a registry, as a Blob: it streams, verified from the start, and goes on by Range when a stream
    breaks off."""

    puller: Puller
    ref: Reference
    descriptor: Descriptor

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """The bytes from `start`. A stream from 0 is held to the descriptor; one from elsewhere to its length."""
        if start:
            return self._of(Mirror(self.ref.registry), start, self.puller.courier.engine)
        return verified(self._from_anywhere(), self.descriptor, f"{self.ref.name}@{self.descriptor.digest}")

    def there(self) -> bool:
        """Whether it can still be had, by one HEAD. A registry that can't be asked is taken for one that lacks it."""

        def ask(remote: Remote, place: RepositoryAddress) -> bool:
            request = wire.head_blob(place, self.descriptor.digest, [wire.pulls(place.repository)])
            doing = f"question for {self.descriptor.digest}"
            answer = self.puller.courier.send(request, remote, doing, (200, 404, 405, 501))
            there = answer.status == 200 and length(answer) in (None, self.descriptor.size)
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

    def _from_anywhere(self) -> Iterator[bytes]:
        """From the first mirror that has the right bytes, else from the registry itself.

        What a mirror sends is kept in a temporary file until its digest is known, so that wrong bytes go no further.
        """
        for mirror in self.puller.mirrors(self.ref):
            with tempfile.SpooledTemporaryFile(IN_MEMORY) as spool:
                try:
                    impatient = RetryEngine(Patience(attempts=1), self.puller.courier.clock, silent)
                    for chunk in verified(self._of(mirror, 0, impatient), self.descriptor, mirror.host):
                        spool.write(chunk)
                except (CrateError, OSError) as fault:
                    if isinstance(fault, Cancelled | Halted):
                        raise
                    self.puller.leave(mirror, fault)
                    continue
                spool.seek(0)
                while chunk := spool.read(CHUNK):
                    yield chunk
                return
        yield from self._of(Mirror(self.ref.registry), 0, self.puller.courier.engine)

    def _of(self, source: Mirror, start: int, engine: RetryEngine) -> Iterator[bytes]:
        def open_body(headers: Mapping[str, str], ok: Collection[int]) -> Reply:
            remote, place = self.puller.reach(source, self.ref)
            request = replace(wire.get_blob(place, self.descriptor.digest), headers=headers, repeat=False)
            return self.puller.courier.open(request, remote, f"blob {self.descriptor.digest}", ok)

        where = f"{self.ref.name}@{self.descriptor.digest}"
        return resumed(open_body, self.descriptor.size, engine, self.puller.check, where, start)


def foreign_urls(descriptor: Descriptor) -> None:
    """Refuse a layer that lives elsewhere (`urls`): following those would let a manifest send us, and others,
    anywhere."""
    if descriptor.rest.get("urls") and "foreign" in descriptor.media_type:
        raise RegistryError(f"{descriptor.digest} is a foreign layer, kept by somebody else; it is not fetched")
