"""The registry client of modelcrate: manifests, blobs, tags and referrers of any number of registries.

`oras_client.Registry` is this with oras-py's interface as well. Importing oras takes longer than a push that finds all blobs
in the registry, so modelcrate itself uses `RegistryClient`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self

from modelcrate.images.reference import Reference
from modelcrate.net.cancellation import StopSignal
from modelcrate.net.client import HttpClient
from modelcrate.net.counters import Counters, Traffic
from modelcrate.net.errors import ErrorResponse
from modelcrate.net.messages import Headers, Response
from modelcrate.net.retry import Clock, SystemClock
from modelcrate.registry import documents, wire
from modelcrate.registry.config import RegistryConfig
from modelcrate.registry.events import Emit, silent
from modelcrate.registry.pulls import Puller, RemoteBlob, foreign_urls
from modelcrate.registry.pushes import SMALL, Pusher, PushResult
from modelcrate.registry.referrers import Referrers, pages, read_repositories, read_tags
from modelcrate.registry.sources import Stream
from modelcrate.registry.transport import RegistryTransport
from modelcrate_layers.content import Blob, Descriptor, Digest, Literal
from modelcrate_layers.errors import UserError

_NOTHING = RegistryConfig()


_HALF_WRITTEN = frozenset({"DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN"})
"""What docker-registry over files answers while another pusher writes a manifest that this one names: its link is empty for a moment."""

_REWRITTEN_AFTER = 0.5
"""Seconds after which such a link is written."""


class RegistryClient:
    """A client for any number of registries, safe for threads. Use it in a `with`, which closes its connections.

    Every method may raise RegistryError (a server's fault: ErrorResponse, NotFound, ConnectionFailed), IntegrityError
    (bytes are not what they should be), UserError (offline, a wrong name), and whatever a blob raises while it is read.

    Args:
        settings: The configuration.
        emit: Receives the events of registry/events.py, from any thread.
        clock: Waits between attempts.
        like: A client whose connections, tokens and caches are used as well. It stays open.
        http: The HTTP client whose connections are used. It stays open.
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
            self._transport = RegistryTransport(settings, clock or SystemClock(), emit, self._counters, http)
        else:
            self._transport = like._transport.sharing(emit, self._counters)
        self._puller = Puller(self._transport, self._stop.check)
        self._pusher = Pusher(self._transport, self._stop)
        self._referrers = Referrers(self._transport, self._put)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stops uploads that were started ahead, and closes the connections unless they are another's."""
        self._pusher.close()
        if self._owner:
            self._transport.close()

    def cancel(self) -> None:
        """Stops every transfer of this client, from any thread. Each raises Cancelled, and its upload session is deleted."""
        self._stop.cancel()

    @property
    def traffic(self) -> Traffic:
        """The requests by method and the bytes in both directions, so far."""
        return self._counters.read()

    @property
    def requests_made(self) -> Mapping[str, int]:
        """The requests by method so far; those to token servers count as TOKEN."""
        return self.traffic.requests

    def resolve(self, ref: Reference) -> Descriptor:
        """Returns the descriptor of what a reference names now.

        Raises:
            NotFound: The registry does not have it.
        """
        return self._puller.resolve(ref)

    def manifest(self, ref: Reference) -> tuple[Descriptor, bytes]:
        """Returns the descriptor and the bytes of a manifest or index, which are verified against their digest and type.

        Raises:
            NotFound: The registry does not have it.
            IntegrityError: The bytes have another digest, or are no manifest.
        """
        return self._puller.manifest(ref)

    def note_manifest(self, ref: Reference, digest: Digest, data: bytes) -> None:
        """Records what a manifest names that the repository has, and that need not be fetched. No request is sent."""
        self._transport.blobs.add_manifest(ref.name, digest, data)

    def is_new(self, ref: Reference, digest: Digest) -> bool:
        """Returns whether the reference is known to name something else than this, or nothing. No request is sent."""
        return self._transport.blobs.tag_differs(ref.name, ref.target, digest)

    def last_named(self, ref: Reference) -> Digest | None:
        """Returns what the reference named when it was last asked for; None for nothing, or if it was not. No request is sent."""
        return self._transport.blobs.tag(ref.name, ref.target)

    def known_blobs(self, ref: Reference, without: Collection[Digest]) -> frozenset[Digest]:
        """Returns the blobs that the repository has confirmed, or that manifests of it name which were read; `without` names some that don't count.

        A registry may have lost one. Whoever relies on it has to handle the refusal of the manifest that names it.
        """
        return self._transport.blobs.known(ref.name, without)

    def blob(self, ref: Reference, descriptor: Descriptor) -> RemoteBlob:
        """Returns a blob of this repository. No request is sent before it is read.

        Raises:
            RegistryError: It is a foreign layer, which is kept on another server.
        """
        foreign_urls(descriptor)
        return RemoteBlob(self._puller, ref, descriptor)

    def has(self, ref: Reference, descriptor: Descriptor) -> bool:
        """Returns whether the repository has this blob."""
        return self._pusher.has(ref, descriptor)

    def push_blob(self, ref: Reference, blob: Blob, mount_from: Sequence[str] = ()) -> PushResult:
        """Brings a blob into the repository: found there, mounted, or sent (and resumed, where an earlier run was interrupted).

        Args:
            ref: The repository.
            blob: The blob.
            mount_from: Repositories of the same registry that may have it.

        Returns:
            How it came there, and the bytes that were sent.
        """
        return self._pusher.push(ref, blob, mount_from)

    def push_blobs(
        self, ref: Reference, blobs: Iterable[Blob], mount_from: Sequence[str] = (), *, unasked: Collection[Digest] = ()
    ) -> list[PushResult]:
        """Brings several blobs there at once, small ones first. Returns the results in the order given.

        Those `unasked` are sent without a check, because they are probably missing.
        """
        return self._pusher.push_all(ref, blobs, mount_from, unasked=unasked)

    def begin_blob(self, ref: Reference, blob: Blob) -> None:
        """Starts to send a blob and returns at once. The push that follows waits for it, and raises its error."""
        self._pusher.begin(ref, blob)

    def push_stream(self, ref: Reference, stream: Stream) -> PushResult:
        """Sends a layer whose digest is not known yet: it is read once, hashed while it is sent, and named at the end.

        The push of its image that follows reports it with these bytes, once.
        """
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
        """Publishes a manifest under the tags, else under the reference's tag, else under its digest.

        A tag that names it already is left alone.

        Args:
            ref: The repository, with a tag or a digest.
            data: The manifest's bytes.
            media_type: Its media type.
            tags: Tags to publish it under, instead of the reference's.
            blobs: Sent again, once, where the registry has lost one of them.
            overwrite: Whether a tag that names something else is replaced.

        Returns:
            The manifest's descriptor.

        Raises:
            UserError: A tag names something else, and `overwrite` is off; or the manifest is too large.
            IntegrityError: It is no manifest of this type.
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
                self._transport.blobs.forget(ref.name)  # the registry's garbage collector was faster than we
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
        """Publishes an image: its blobs, its manifests by digest, and the last manifest (the index, if there is one) by its tags.

        No tag is written before all that it needs is there. Blobs of other manifests that were read from the repository are
        not checked: a registry that lost one refuses the manifest, and then all are checked and sent.

        Args:
            ref: The repository, with a tag or a digest.
            manifests: The manifests, children first.
            blobs: Configs and layers.
            tags: Tags to publish it under, instead of the reference's.
            mount_from: Repositories of the same registry that may have some of the blobs.

        Returns:
            The descriptor of the last manifest, and a result for each blob.
        """
        *children, top = manifests
        cache = self._transport.blobs
        known = cache.known(ref.name, {each.descriptor.digest for each in manifests})
        new = cache.tag_differs(ref.name, ref.target, top.descriptor.digest)
        small = {each.descriptor.digest for each in blobs if new and each.descriptor.size <= SMALL}
        sent = self._pusher.push_all(ref, blobs, mount_from, known, unasked=small)
        for child in children:
            self.put_manifest(ref.at(child.descriptor.digest), child.data, child.media_type, blobs=blobs)
        return self.put_manifest(ref, top.data, top.media_type, tags, blobs=blobs), sent

    def tags(self, ref: Reference) -> list[str]:
        """Returns all tags of the repository, in the registry's order."""
        remote = self._transport.remote(ref.registry)
        found: list[str] = []
        request = wire.list_tags(remote.repository(ref.repository))
        pages(
            self._transport,
            remote,
            request,
            f"list of the tags of {ref.name}",
            lambda page: found.extend(read_tags(page)),
        )
        return list(dict.fromkeys(found))

    def repositories(self, registry: str) -> list[str]:
        """Returns all repositories that a registry lists, in its order. Not every registry has such a list."""
        remote = self._transport.remote(registry)
        found: list[str] = []
        request = wire.list_repositories(remote.origin)
        doing = f"list of the repositories of {registry}"
        try:
            pages(self._transport, remote, request, doing, lambda page: found.extend(read_repositories(page)))
        except ErrorResponse as fault:
            more = "not every registry lists its repositories, and not to everyone; name them instead: HOST/REPOSITORY"
            fault.hint = f"{fault.hint}\n{more}".strip()
            raise
        return list(dict.fromkeys(found))

    def referrers(self, ref: Reference, artifact_type: str | None = None) -> list[Descriptor]:
        """Returns the descriptors of the artifacts that refer to this image, of one type where one is given."""
        return self._referrers.find(ref, ref.digest or self.resolve(ref).digest, artifact_type)

    def push_referrer(self, ref: Reference, data: bytes) -> Descriptor:
        """Publishes a manifest with a `subject`, so that `referrers` finds it. Its blobs have to be there already."""
        (descriptor,) = self._referrers.push(ref, [data])
        return descriptor

    def push_referrers(
        self, ref: Reference, documents: Sequence[bytes], blobs: Sequence[Blob] = ()
    ) -> list[Descriptor]:
        """Publishes several manifests with a `subject`. Where they are listed under a tag, each list is written once.

        Args:
            ref: The repository.
            documents: The manifests.
            blobs: Sent again, once, where the registry has lost one of them.
        """
        try:
            return self._referrers.push(ref, documents)
        except ErrorResponse as fault:
            if "MANIFEST_BLOB_UNKNOWN" not in fault.codes or not blobs:
                raise
        self._transport.blobs.forget(ref.name)
        self.push_blobs(ref, blobs)
        return self._referrers.push(ref, documents)

    def delete(self, ref: Reference) -> None:
        """Deletes the manifest that the reference names, and with it every tag of it.

        Raises:
            NotFound: The registry does not have it.
            ErrorResponse: The registry does not delete by request, or refuses.
        """
        remote = self._transport.remote(ref.registry)
        descriptor, data = self.manifest(ref)
        request = wire.delete_manifest(remote.repository(ref.repository), str(descriptor.digest))
        try:
            self._transport.send(request, remote, f"deletion of {ref}", (200, 202, 204))
        except ErrorResponse as fault:
            if fault.status not in (400, 405, 501):
                raise
            hint = "this registry does not delete by request; its administrator has to allow it"
            raise ErrorResponse(
                request, Response(fault.status, Headers()), fault.what, why=fault.why, hint=hint
            ) from None
        self._referrers.forget(ref, data, descriptor.media_type)

    def _put(self, ref: Reference, data: bytes, media_type: str) -> Descriptor:
        try:
            return self._put_once(ref, data, media_type)
        except ErrorResponse as fault:
            if not fault.codes >= _HALF_WRITTEN:
                raise
        self._transport.clock.sleep(_REWRITTEN_AFTER)
        return self._put_once(ref, data, media_type)

    def _put_once(self, ref: Reference, data: bytes, media_type: str) -> Descriptor:
        remote = self._transport.remote(ref.registry)
        descriptor = Descriptor.of(data, media_type)
        request = wire.put_manifest(remote.repository(ref.repository), ref.target, data, media_type)
        answer = self._transport.send(request, remote, f"manifest {ref}", (200, 201, 202, 204))
        wire.confirm_digest(answer, descriptor.digest, request.where())
        self._transport.blobs.set_tag(ref.name, ref.target, descriptor.digest)
        return descriptor

    def _names(self, target: Reference, descriptor: Descriptor, *, overwrite: bool) -> bool:
        """Returns whether a tag (or digest) names this already. A tag that is known to differ needs no request."""
        if overwrite and self._transport.blobs.tag_differs(target.name, target.target, descriptor.digest):
            return False
        remote = self._transport.remote(target.registry)
        request = wire.head_manifest(
            remote.repository(target.repository), target.target, [wire.push_access(target.repository)]
        )
        answer = self._transport.send(request, remote, f"manifest {target}", (200, 404, 405, 501))
        if answer.status != 200:
            return False
        named = answer.headers.get("Docker-Content-Digest").strip()
        if named != str(descriptor.digest) and not overwrite:
            raise UserError(f"{target} exists already, and is {named or 'something else'}", hint="choose another tag")
        return named == str(descriptor.digest)


def _checked(data: bytes, media_type: str, ref: Reference) -> Descriptor:
    """The descriptor of a manifest, which is checked before it is published."""
    if len(data) > documents.MAX_MANIFEST:
        why = f"{len(data)} bytes; registries have to take {documents.MAX_MANIFEST}"
        raise UserError("the manifest is too large", where=str(ref), why=why)
    documents.check_kind(data, media_type, str(ref))
    descriptor = Descriptor.of(data, media_type)
    if ref.digest and ref.digest != descriptor.digest:
        raise UserError(
            f"the manifest is {descriptor.digest}, so it can't be published as {ref.digest}",
            where=str(ref),
            hint="name a tag, or leave the digest out",
        )
    return descriptor
