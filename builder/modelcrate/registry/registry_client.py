"""What the rest of modelcrate says to registries, and nothing about how it is said.

`client.Registry` is this with oras-py's interface beside it; oras alone takes longer to import than a push that finds all
there, so who needs no more than these verbs uses `RegistryClient`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self

from modelcrate.images.reference import Reference
from modelcrate.net.cancellation import StopSignal
from modelcrate.net.client import HttpClient
from modelcrate.net.counters import Counters, Traffic
from modelcrate.net.errors import ErrorResponse
from modelcrate.net.retry import Clock, SystemClock
from modelcrate.registry import documents, wire
from modelcrate.registry.events import Emit, silent
from modelcrate.registry.pulls import Puller, RemoteBlob, foreign_urls
from modelcrate.registry.pushes import Pusher, PushResult
from modelcrate.registry.referrers import Referrers, pages, read_tags
from modelcrate.registry.registry_transport import RegistryTransport
from modelcrate.registry.settings import RegistryConfig
from modelcrate.registry.sources import Stream
from modelcrate_layers.content import Blob, Descriptor, Literal
from modelcrate_layers.errors import UserError

_NOTHING = RegistryConfig()


class RegistryClient:
    """A client for any number of registries, safe for threads. It is a context manager; leaving it ends its
    connections.

    Errors are RegistryError (a server's fault), IntegrityError (bytes are not what they should be), UserError (offline,
    a wrong name), or whatever a blob raises while it is read. `emit` gets the events of registry/events.py.
    A client that is `like` another works over that one's connections and logins, and leaves them open.
    """

    def __init__(
        self,
        settings: RegistryConfig = _NOTHING,
        emit: Emit = silent,
        clock: Clock | None = None,
        like: RegistryClient | None = None,
        http: HttpClient | None = None,
    ) -> None:
        self.settings = settings
        self._counters, self._stop = Counters(), StopSignal()
        self._owner = like is None
        if like is None:
            self._courier = RegistryTransport(settings, clock or SystemClock(), emit, self._counters, http)
        else:
            self._courier = like._courier.beside(emit, self._counters)
        self._puller = Puller(self._courier, self._stop.check)
        self._pusher = Pusher(self._courier, self._stop)
        self._referrers = Referrers(self._courier, self._put)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all connections, and what was begun and not asked for."""
        self._pusher.close()
        if self._owner:
            self._courier.close()

    def cancel(self) -> None:
        """End every transfer of this client, from any thread; each raises Cancelled, and its upload session is
        deleted."""
        self._stop.cancel()

    @property
    def traffic(self) -> Traffic:
        """Requests by verb and bytes in both directions, so far."""
        return self._counters.read()

    @property
    def requests_made(self) -> Mapping[str, int]:
        """Requests by verb so far; those to token servers are counted as TOKEN."""
        return self.traffic.requests

    def resolve(self, ref: Reference) -> Descriptor:
        """What the reference names now."""
        return self._puller.resolve(ref)

    def manifest(self, ref: Reference) -> tuple[Descriptor, bytes]:
        """A manifest or index, its bytes as they are, held to their digest and their type."""
        return self._puller.manifest(ref)

    def blob(self, ref: Reference, descriptor: Descriptor) -> RemoteBlob:
        """A blob of this repository; nothing is asked before it is read."""
        foreign_urls(descriptor)
        return RemoteBlob(self._puller, ref, descriptor)

    def has(self, ref: Reference, descriptor: Descriptor) -> bool:
        """Whether the repository holds this blob."""
        return self._pusher.has(ref, descriptor)

    def push_blob(self, ref: Reference, blob: Blob, mount_from: Sequence[str] = ()) -> PushResult:
        """Bring a blob there: known, mounted from one of these repositories, or sent (and resumed, if it was
        cut before)."""
        return self._pusher.push(ref, blob, mount_from)

    def push_blobs(self, ref: Reference, blobs: Iterable[Blob], mount_from: Sequence[str] = ()) -> list[PushResult]:
        """All of these, several at once, small ones first; the results are in the order given."""
        return self._pusher.push_all(ref, blobs, mount_from)

    def begin_blob(self, ref: Reference, blob: Blob) -> None:
        """Begin to bring a blob there, and return at once. Who then pushes it waits for this, and gets its fault."""
        self._pusher.begin(ref, blob)

    def push_stream(self, ref: Reference, stream: Stream) -> PushResult:
        """A layer that has no digest yet: read once, hashed while it is sent, named at the end."""
        return self._pusher.push_stream(ref, stream)

    def put_manifest(
        self,
        ref: Reference,
        data: bytes,
        media_type: str,
        tags: Sequence[str] = (),
        *,
        blobs: Sequence[Blob] = (),
        overwrite: bool = True,
    ) -> Descriptor:
        """Publish these bytes under the tags, else under the reference's tag, else under their digest.

        A tag that has them already is left alone. `blobs` are sent again, once, where the registry has lost
        one of them.
        With `overwrite` off, a tag that names something else is a UserError, and nothing is written.
        """
        descriptor = _checked(data, media_type, ref)
        targets = [ref.tagged(tag) for tag in tags] or [
            ref if ref.tag and not ref.digest else ref.at(descriptor.digest)
        ]
        missing = [target for target in targets if not self._names(target, descriptor, overwrite=overwrite)]
        for target in missing:
            try:
                self._put(target, data, media_type)
            except ErrorResponse as fault:
                if "MANIFEST_BLOB_UNKNOWN" not in fault.codes or not blobs:
                    raise
                self._courier.seen.forget(ref.name)  # the registry's garbage collector was faster than we
                self.push_blobs(ref, blobs)
                self._put(target, data, media_type)
        return descriptor

    def publish(
        self,
        ref: Reference,
        manifests: Sequence[Literal],
        blobs: Sequence[Blob],
        tags: Sequence[str] = (),
        mount_from: Sequence[str] = (),
    ) -> tuple[Descriptor, list[PushResult]]:
        """A whole image: its blobs, its manifests by digest, and the last manifest (the index, if there is
        one) by its tags.

        No tag is touched before everything below it is there. What another manifest of the repository names, which was read before,
        is not asked for: a registry that has lost it refuses ours, and then all is asked for and sent.
        """
        *children, top = manifests
        seen = self._courier.seen
        known = seen.of(ref.name, {each.descriptor.digest for each in manifests})
        new = seen.is_other(ref.name, ref.target, top.descriptor.digest)
        sent = self._pusher.push_all(ref, blobs, mount_from, known, new=new)
        for child in children:
            self.put_manifest(ref.at(child.descriptor.digest), child.data, child.media_type, blobs=blobs)
        return self.put_manifest(ref, top.data, top.media_type, tags, blobs=blobs), sent

    def tags(self, ref: Reference) -> list[str]:
        """All tags of the repository, as the registry orders them."""
        remote = self._courier.remote(ref.registry)
        found: list[str] = []
        request = wire.list_tags(remote.place(ref.repository))
        pages(
            self._courier,
            remote,
            request,
            f"list of the tags of {ref.name}",
            lambda page: found.extend(read_tags(page)),
        )
        return list(dict.fromkeys(found))

    def referrers(self, ref: Reference, artifact_type: str | None = None) -> list[Descriptor]:
        """What refers to this image, of one type where that is asked for."""
        return self._referrers.find(ref, ref.digest or self.resolve(ref).digest, artifact_type)

    def push_referrer(self, ref: Reference, data: bytes) -> Descriptor:
        """Publish a manifest with a `subject` in this repository, so that `referrers` finds it. Its blobs go first."""
        (descriptor,) = self._referrers.push(ref, [data])
        return descriptor

    def push_referrers(self, ref: Reference, documents: Sequence[bytes]) -> list[Descriptor]:
        """The same for several: where they have to be listed under a tag, the list is written once for each subject."""
        return self._referrers.push(ref, documents)

    def delete(self, ref: Reference) -> None:
        """Delete the manifest that the reference names, and every tag of it with it."""
        remote = self._courier.remote(ref.registry)
        descriptor, data = self.manifest(ref)
        request = wire.delete_manifest(remote.place(ref.repository), str(descriptor.digest))
        try:
            self._courier.send(request, remote, f"deletion of {ref}", (200, 202, 204))
        except ErrorResponse as fault:
            if fault.status in (400, 405, 501):
                fault.hint = "this registry does not delete by request; its administrator has to allow it"
            raise
        self._referrers.forget(ref, data, descriptor.media_type)

    def _put(self, ref: Reference, data: bytes, media_type: str) -> Descriptor:
        remote = self._courier.remote(ref.registry)
        descriptor = Descriptor.of(data, media_type)
        request = wire.put_manifest(remote.place(ref.repository), ref.target, data, media_type)
        answer = self._courier.send(request, remote, f"manifest {ref}", (200, 201, 202, 204))
        wire.confirm_digest(answer, descriptor.digest, request.where())
        self._courier.seen.tagged(ref.name, ref.target, descriptor.digest)
        return descriptor

    def _names(self, target: Reference, descriptor: Descriptor, *, overwrite: bool) -> bool:
        """Whether a tag (or digest) is already what it shall be. One that was seen to be something else is not asked for again."""
        if overwrite and self._courier.seen.is_other(target.name, target.target, descriptor.digest):
            return False
        remote = self._courier.remote(target.registry)
        request = wire.head_manifest(remote.place(target.repository), target.target, [wire.pushes(target.repository)])
        answer = self._courier.send(request, remote, f"manifest {target}", (200, 404, 405, 501))
        if answer.status != 200:
            return False
        told = answer.headers.get("Docker-Content-Digest").strip()
        if told != str(descriptor.digest) and not overwrite:
            raise UserError(f"{target} exists already, and is {told or 'something else'}", hint="choose another tag")
        return told == str(descriptor.digest)


def _checked(data: bytes, media_type: str, ref: Reference) -> Descriptor:
    """The descriptor of a manifest that may be published."""
    if len(data) > documents.MAX_MANIFEST:
        why = f"{len(data)} bytes; registries have to take {documents.MAX_MANIFEST}"
        raise UserError("the manifest is too large", where=str(ref), why=why)
    documents.check_kind(data, media_type, str(ref))
    descriptor = Descriptor.of(data, media_type)
    if ref.digest and ref.digest != descriptor.digest:
        raise UserError(
            f"the manifest is {descriptor.digest}, so it can't be published as {ref.digest}", where=str(ref)
        )
    return descriptor
