"""Manifests and blobs from a registry or its mirrors: verified, limited in size, and resumed where a stream breaks off."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
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
from modelcrate.registry.remote import Remote
from modelcrate.registry.transport import RegistryTransport
from modelcrate.registry.wire import RepositoryAddress
from modelcrate_layers.content import CHUNK, MAX_JSON, Descriptor, verified
from modelcrate_layers.errors import CrateError, IntegrityError, RegistryError
from modelcrate_layers.frozen import dataclass, replace

T = TypeVar("T")

IN_MEMORY = 8 << 20
"""Bytes of a mirror's blob that are kept in memory until they are verified; more go to a temporary file."""


@dataclass(frozen=True, slots=True)
class Puller:
    """Downloads for one client. `check` raises where the transfer was cancelled."""

    transport: RegistryTransport
    check: Callable[[], None]

    def mirrors(self, ref: Reference) -> tuple[Mirror, ...]:
        """Returns the mirrors of the registry, in their order. Each host has credentials of its own."""
        return self.transport.settings.profile(ref.registry).mirrors

    def leave(self, mirror: Mirror, fault: BaseException) -> None:
        """Warns that a mirror can't be used."""
        what = fault.what if isinstance(fault, CrateError) else str(fault)
        self.transport.emit(Warned(mirror.host, f"this mirror was of no use: {what}"))

    def reach(self, source: Mirror, ref: Reference) -> tuple[Remote, RepositoryAddress]:
        """Returns a mirror or the registry itself, with the address of the repository there."""
        remote = self.transport.remote(source.host)
        return remote, remote.repository(ref.repository, ref.registry if source.proxy else None)

    def resolve(self, ref: Reference) -> Descriptor:
        """Returns the descriptor of what the reference names, from the header where that is complete, else from the manifest.

        Raises:
            NotFound: The registry does not have it.
            IntegrityError: It names another digest than the reference.
        """

        def ask(remote: Remote, address: RepositoryAddress) -> Descriptor:
            request = wire.head_manifest(address, ref.target, [wire.pull_access(address.repository)])
            answer = self.transport.send(request, remote, f"manifest {ref}", (200, 404, 405, 501))
            named = wire.descriptor_of(answer, request.where()) if answer.status == 200 else None
            if remote.registry == ref.registry and (named or answer.status == 404):
                self.transport.blobs.set_tag(ref.name, ref.target, named.digest if named else None)
            if answer.status == 404:
                raise error_response(request, answer, f"manifest {ref}", self.transport.clock.now())
            if named is None:
                return self._manifest(remote, address, ref)[0]
            if ref.digest and named.digest != ref.digest:
                raise IntegrityError(
                    f"the registry names {named.digest} where {ref.digest} was asked for", where=str(ref)
                )
            return named

        return self.first(ref, ask)

    def manifest(self, ref: Reference) -> tuple[Descriptor, bytes]:
        """Returns the descriptor and the raw bytes of a manifest, verified."""
        return self.first(ref, lambda remote, address: self._manifest(remote, address, ref))

    def _manifest(self, remote: Remote, address: RepositoryAddress, ref: Reference) -> tuple[Descriptor, bytes]:
        request = wire.get_manifest(address, ref.target)
        answer = self.transport.send(request, remote, f"manifest {ref}")
        descriptor = documents.check_document(answer, ref.digest, request.where())
        if remote.registry == ref.registry:  # and not one of its mirrors
            self.transport.blobs.add_manifest(ref.name, descriptor.digest, answer.body)
            self.transport.blobs.set_tag(ref.name, ref.target, descriptor.digest)
        return descriptor, answer.body

    def first(self, ref: Reference, ask: Callable[[Remote, RepositoryAddress], T]) -> T:
        """Returns the first good answer of the mirrors and the registry.

        Raises:
            CrateError: The registry's own error, where no mirror had a good answer.
        """
        for mirror in self.mirrors(ref):
            try:
                return ask(*self.reach(mirror, ref))
            except CrateError as fault:
                self.leave(mirror, fault)
        return ask(*self.reach(Mirror(ref.registry), ref))


@dataclass(frozen=True, slots=True)
class RemoteBlob:
    """A blob in a registry. It is streamed and verified, and resumed with Range when a stream breaks off."""

    puller: Puller
    ref: Reference
    descriptor: Descriptor

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """Returns the bytes from `start`. From 0 on they are verified against the descriptor, else against its size.

        Raises:
            NotFound: The registry does not have the blob.
            IntegrityError: The bytes are not those of the descriptor.
            RegistryError: The registry failed in as many attempts as the settings allow.
        """
        if start:
            return self._of(Mirror(self.ref.registry), start, self.puller.transport.engine)
        return verified(self._from_anywhere(), self.descriptor, f"{self.ref.name}@{self.descriptor.digest}")

    def end(self, size: int) -> bytes:
        """Returns the last bytes, from the first of the mirrors and the registry that sends them. Each is asked once.

        Nothing verifies them: they are a hint.

        Raises:
            CrateError: None of them sends them.
        """
        impatient = RetryEngine(Patience(attempts=1), self.puller.transport.clock, silent)
        *mirrors, origin = (*self.puller.mirrors(self.ref), Mirror(self.ref.registry))
        for mirror in mirrors:
            with suppress(CrateError):
                return b"".join(self._of(mirror, self.descriptor.size - size, impatient))
        return b"".join(self._of(origin, self.descriptor.size - size, impatient))

    def exists(self) -> bool:
        """Returns whether the registry still has the blob, by one HEAD. A registry without HEAD counts as lacking it."""

        def ask(remote: Remote, address: RepositoryAddress) -> bool:
            request = wire.head_blob(address, self.descriptor.digest, [wire.pull_access(address.repository)])
            doing = f"check of {self.descriptor.digest}"
            answer = self.puller.transport.send(request, remote, doing, (200, 404, 405, 501))
            found = answer.status == 200 and length(answer) in (None, self.descriptor.size)
            if found and remote.registry == self.ref.registry:
                self.puller.transport.blobs.add(self.ref.name, self.descriptor.digest)
            return found

        return self.puller.first(self.ref, ask)

    def read(self, limit: int = MAX_JSON) -> bytes:
        """Returns all bytes of a small blob, such as a config.

        Raises:
            IntegrityError: It has more than `limit` bytes.
        """
        if self.descriptor.size > limit:
            raise IntegrityError(
                f"a blob of {self.descriptor.size} bytes; the limit here is {limit}", where=str(self.ref)
            )
        return b"".join(self.chunks())

    def _from_anywhere(self) -> Iterator[bytes]:
        """The bytes of the first mirror that has the right ones, else those of the registry itself.

        What a mirror sends is kept in a temporary file until its digest is verified, so that wrong bytes go no further.
        """
        for mirror in self.puller.mirrors(self.ref):
            with tempfile.SpooledTemporaryFile(IN_MEMORY) as spool:
                try:
                    impatient = RetryEngine(Patience(attempts=1), self.puller.transport.clock, silent)
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
        yield from self._of(Mirror(self.ref.registry), 0, self.puller.transport.engine)

    def _of(self, source: Mirror, start: int, engine: RetryEngine) -> Iterator[bytes]:
        def open_body(headers: Mapping[str, str], ok: Collection[int]) -> Reply:
            remote, address = self.puller.reach(source, self.ref)
            request = replace(wire.get_blob(address, self.descriptor.digest), headers=headers, repeat=False)
            return self.puller.transport.open(request, remote, f"blob {self.descriptor.digest}", ok)

        where = f"{self.ref.name}@{self.descriptor.digest}"
        return resumed(open_body, self.descriptor.size, engine, self.puller.check, where, start)


def foreign_urls(descriptor: Descriptor) -> None:
    """Raises RegistryError for a layer that is kept elsewhere (`urls`): a manifest could send us anywhere by that."""
    if descriptor.rest.get("urls") and "foreign" in descriptor.media_type:
        raise RegistryError(
            f"{descriptor.digest} is a foreign layer, which is kept on another server; it is not fetched"
        )
