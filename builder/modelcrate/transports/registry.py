"""`registry:REF`: an image in a registry. What it has, or can mount, is not sent; a large new layer is hashed while it is sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

from modelcrate.events import Advanced, Emit, Finished, Notice, Started
from modelcrate.images.artifact import Artifact, merge
from modelcrate.images.image import Deliverable
from modelcrate.images.reference import Reference
from modelcrate.images.sinks import Discard
from modelcrate.registry import events
from modelcrate.registry.client import RegistryClient
from modelcrate.registry.pulls import RemoteBlob
from modelcrate.transports.connections import Connections
from modelcrate.transports.output import Delivered
from modelcrate.transports.registry_reader import RegistryCollection
from modelcrate_layers.content import Blob, Digest
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.tar.recipe import Layer, Measuring

KIND = "registry"
EXAMPLE = "HOST/REPOSITORY[:TAG]"

LATEST = "latest"
"""The tag of a push that names none."""

ASKED_FIRST = 32 << 20
"""A new layer below this size is measured before it is sent: asking whether the registry has it costs less than sending it."""

LARGE = 64 << 20
"""Bytes for which a registry's hashing takes so long that silence would look like a fault."""


def parse(target: str) -> RegistryOutput:
    return RegistryOutput.of(Reference.parse(target))


@dataclass(frozen=True, slots=True)
class RegistryOutput:
    """A repository of a registry, and the tag or digest under which the image is put there."""

    reference: Reference

    kind = KIND

    @classmethod
    def of(cls, reference: Reference) -> RegistryOutput:
        """Returns the output for a reference. One without tag and digest gets the tag `latest`, as with every other client."""
        return cls(reference if reference.tag or reference.digest else reference.tagged(LATEST))

    @property
    def target(self) -> str:
        return str(self.reference)

    @contextmanager
    def session(self, connections: Connections, emit: Emit) -> Iterator[RegistrySession]:
        """Opens the output, so that it takes layers before it takes the image."""
        with connections.registry_client(Progress(emit)) as client:
            yield RegistrySession(self.reference, client)

    def deliver(self, image: Deliverable, connections: Connections, emit: Emit) -> Delivered:
        with self.session(connections, emit) as session:
            return session.deliver(image, connections, emit)


class RegistrySession:
    """An open output. It also takes layers while they are measured: their files are read once. Not a value: it holds a client."""

    kind = KIND

    def __init__(self, reference: Reference, client: RegistryClient) -> None:
        self.reference = reference
        self._client = client
        self._streamed: set[Digest] = set()

    @property
    def target(self) -> str:
        return str(self.reference)

    def take(self, measuring: Measuring) -> Layer:
        """Sends a layer while it is measured. A small one is only measured: it may be there already."""
        if (measuring.tar_size or 0) < ASKED_FIRST:
            return Discard().take(measuring)
        sent = self._client.push_stream(self.reference, measuring)
        if sent.bytes:
            self._streamed.add(sent.descriptor.digest)
        return measuring.layer

    def begin(self, blob: Blob) -> None:
        """Begins to send a blob, and returns at once."""
        self._client.begin_blob(self.reference, blob)

    def deliver(self, image: Deliverable, connections: Connections, emit: Emit) -> Delivered:
        graph = image.graph()
        descriptor, results = self._client.publish(
            self.reference, graph.documents, graph.blobs, mount_from=_near(graph.blobs, self.reference)
        )
        attach(self._client, self.reference, graph.attached)
        traffic = self._client.traffic
        there = sum(
            each.descriptor.size for each in results if not each.bytes and each.descriptor.digest not in self._streamed
        )
        return Delivered(KIND, self.target, descriptor.digest, traffic.sent, there, traffic.total)


def attach(client: RegistryClient, reference: Reference, artifacts: Sequence[Artifact]) -> None:
    """Put artifacts beside an image that the repository has: found by their subject, or under their tag, beside what stands there."""
    subjects = {each.subject for each in artifacts if each.subject}
    listed = {one.digest for about in subjects for one in client.referrers(reference.at(about))}
    there = RegistryCollection(client, reference)
    new = [_beside(each, there) for each in artifacts if each.manifest.descriptor.digest not in listed]
    client.push_blobs(reference, {blob.descriptor.digest: blob for each in new for blob in each.blobs}.values())
    client.push_referrers(reference, [each.manifest.data for each in new if not each.tag])
    for each in new:
        if each.tag:
            data = each.manifest
            client.put_manifest(reference.tagged(each.tag), data.data, data.media_type, blobs=each.blobs)


def _beside(artifact: Artifact, there: RegistryCollection) -> Artifact:
    """An artifact under a tag together with what stands under that tag."""
    standing = there.tagged(artifact.tag) if artifact.tag else None
    return merge(standing, artifact) if standing is not None else artifact


class Progress:
    """The client's events in the words of the line. It remembers how far each blob was, for the client tells totals, not steps."""

    def __init__(self, emit: Emit) -> None:
        self._emit, self._lock = emit, threading.Lock()
        self._done: dict[str, int] = {}
        self._said: set[str] = set()

    def __call__(self, event: object) -> None:
        match event:
            case events.Moved(_, name, done, total):
                self._moved(f"push {name}", done, total)
            case events.Waiting(name):
                if self._done.get(f"push {name}", 0) >= LARGE:
                    self._emit(Notice(f"waiting for the registry, which hashes {name}"))
            case events.Retrying(where, why, _, _):
                self._once(f"{urlsplit(where.rpartition(' ')[2]).netloc or where}: {why}; trying again for a while")
            case events.Resumed(name, offset):
                self._emit(Notice(f"{name}: goes on at byte {offset}"))
            case events.Restarted(name, why):
                self._emit(Notice(f"{name}: begins anew, {why}"))
            case events.Warned(where, text):
                self._emit(Notice(f"{where}: {text}"))

    def _once(self, text: str) -> None:
        """Parallel uploads fail in chorus; it is said once."""
        with self._lock:
            if text in self._said:
                return
            self._said.add(text)
        self._emit(Notice(text))

    def _moved(self, label: str, done: int, total: int | None) -> None:
        with self._lock:
            before = self._done.get(label)
            self._done[label] = done
        if before is None:
            self._emit(Started(label, total))
        self._emit(Advanced(label, done - (before or 0)))
        if done == total:
            self._emit(Finished(label))


def _near(blobs: tuple[Blob, ...], reference: Reference) -> list[str]:
    """Repositories of the same registry that blobs come from, and can be mounted from."""
    remote = [blob.ref for blob in blobs if isinstance(blob, RemoteBlob)]
    return sorted(
        {
            ref.repository
            for ref in remote
            if ref.registry == reference.registry and ref.repository != reference.repository
        }
    )
