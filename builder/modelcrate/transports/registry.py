"""`registry:REF`: an image in a registry. What it has, or can mount, is not sent; a large new layer is hashed while it is sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field
from urllib.parse import urlsplit

from modelcrate.events import Advanced, Emit, Finished, Notice, Started
from modelcrate.home.settings import Settings
from modelcrate.images.artifact import Artifact, merge
from modelcrate.images.image import Deliverable
from modelcrate.images.reference import Reference
from modelcrate.pipeline.pack import Discard
from modelcrate.registry import events
from modelcrate.registry.pulls import RemoteBlob
from modelcrate.registry.registry_client import RegistryClient as Registry
from modelcrate.transports import Delivered
from modelcrate.transports.registry_reader import RegistryCollection
from modelcrate_layers.content import Blob
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.tar.recipe import Layer, Measuring

KIND = "registry"
EXAMPLE = "HOST/REPOSITORY[:TAG]"

ASKED_FIRST = 32 << 20
"""A new layer below this size is measured before it is sent: asking whether the registry has it costs less than sending it."""

LARGE = 64 << 20
"""Bytes for which a registry's hashing takes so long that silence would look like a fault."""


def parse(target: str) -> RegistryOutput:
    return RegistryOutput(Reference.parse(target))


@dataclass(frozen=True, slots=True)
class RegistryOutput:
    reference: Reference

    kind = KIND

    @property
    def target(self) -> str:
        return str(self.reference)

    @contextmanager
    def session(self, settings: Settings, emit: Emit) -> Iterator[RegistrySession]:
        """The output with its connections, for more than one thing at a time."""
        with settings.registry(Progress(emit)) as client:
            yield RegistrySession(self.reference, client, emit)

    def deliver(self, image: Deliverable, settings: Settings, emit: Emit) -> Delivered:
        with self.session(settings, emit) as session:
            return session.deliver(image, settings, emit)


@dataclass(frozen=True, slots=True)
class RegistrySession:
    """An output that also takes layers while they are measured: one pass over the files, and they are there."""

    reference: Reference
    client: Registry = field(repr=False)
    emit: Emit = field(repr=False)

    kind = KIND

    @property
    def target(self) -> str:
        return str(self.reference)

    def take(self, measuring: Measuring) -> Layer:
        if (measuring.tar_size or 0) < ASKED_FIRST:
            return Discard().take(measuring)
        self.client.push_stream(self.reference, measuring)
        return measuring.layer

    def begin(self, blob: Blob) -> None:
        self.client.begin_blob(self.reference, blob)

    def deliver(self, image: Deliverable, settings: Settings, emit: Emit) -> Delivered:
        graph = image.graph()
        descriptor, sent = self.client.publish(
            self.reference, graph.documents, graph.blobs, mount_from=_near(graph.blobs, self.reference)
        )
        attach(self.client, self.reference, graph.attached)
        traffic = self.client.traffic
        there = sum(each.descriptor.size for each in sent if not each.bytes)
        return Delivered(KIND, self.target, descriptor.digest, traffic.sent, there, traffic.total)


def attach(client: Registry, reference: Reference, artifacts: Sequence[Artifact]) -> None:
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
