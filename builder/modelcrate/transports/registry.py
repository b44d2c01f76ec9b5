"""`registry:REF`: an image in a registry.

Blobs that the registry has, or can mount from another repository, are not sent. A large new layer is hashed while it is sent. Layers are
fetched only when they are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from modelcrate.events import Done, Emit
from modelcrate.home.result_cache import ResultCache
from modelcrate.images.artifact import (
    EMPTY,
    GOLDEN,
    MAX_ARTIFACTS,
    TAG_SUFFIXES,
    Artifact,
    make_digest_tag,
    merge,
    newest,
    read_artifact,
)
from modelcrate.images.image import Deliverable, variants_of
from modelcrate.images.manifests import ArtifactFilter, is_document
from modelcrate.images.reading import Found
from modelcrate.images.reference import Reference
from modelcrate.images.sinks import Discard
from modelcrate.net.errors import NotFound
from modelcrate.registry.client import RegistryClient
from modelcrate.registry.pulls import RemoteBlob
from modelcrate.transports.connections import Connections
from modelcrate.transports.output import Delivered
from modelcrate.transports.transfer_events import TransferEvents
from modelcrate_layers.content import Blob, Descriptor, Digest, MediaType, verified
from modelcrate_layers.errors import CrateError, IntegrityError, UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.tar.recipe import Layer, Measuring

KIND = "registry"
EXAMPLE = "HOST/REPOSITORY[:TAG]"

LATEST = "latest"
"""The tag of a push that names none."""

AT_ONCE = 8
"""Artifacts that are read at once."""

KEPT = 256 << 10
"""Bytes of a document up to which it is kept as long as the image that was found."""

MIN_STREAMED = 32 << 20
"""Bytes from which on a new layer is sent while it is measured. For a smaller one it is cheaper to ask first whether it exists."""


def parse(target: str) -> RegistryOutput:
    """Returns the output for a target of the command line.

    Raises:
        UserError: The target is not a reference.
    """
    return RegistryOutput.of(Reference.parse(target))


MAX_UNASKED = 256 << 10
"""Bytes up to which a document about an image that has none yet is sent without a check: most of them name the image."""


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
        """The reference as text."""
        return str(self.reference)

    @contextmanager
    def session(self, connections: Connections, emit: Emit) -> Iterator[RegistrySession]:
        """Opens the output for layers that are sent while they are measured."""
        with connections.registry_client(TransferEvents(emit)) as client:
            yield RegistrySession(self.reference, client)

    def deliver(self, image: Deliverable, connections: Connections, emit: Emit) -> Delivered:
        """Pushes the image. See `Output.deliver`.

        Raises:
            RegistryError: The registry refused, or can't be reached.
        """
        with self.session(connections, emit) as session:
            return session.deliver(image, connections, emit)


class RegistrySession:
    """An open repository. It takes layers while they are measured, so that their files are read once.

    It is not a value, because it holds a client.
    """

    kind = KIND

    def __init__(self, reference: Reference, client: RegistryClient) -> None:
        self.reference = reference
        self._client = client
        self._streamed: set[Digest] = set()

    @property
    def target(self) -> str:
        """The reference as text."""
        return str(self.reference)

    def take(self, measuring: Measuring) -> Layer:
        """Sends a layer while it is measured. A layer below MIN_STREAMED is only measured."""
        if (measuring.tar_size or 0) < MIN_STREAMED:
            return Discard().take(measuring)
        sent = self._client.push_stream(self.reference, measuring)
        if sent.bytes:
            self._streamed.add(sent.descriptor.digest)
        return measuring.layer

    def begin(self, blob: Blob) -> None:
        """Begins to send a blob, and returns at once."""
        self._client.begin_blob(self.reference, blob)

    def deliver(self, image: Deliverable, connections: Connections, emit: Emit) -> Delivered:
        """Pushes what the registry lacks of the image. See `Output.deliver`."""
        graph = image.graph()
        new = self._client.is_new(self.reference, graph.root.descriptor.digest)
        asked = frozenset({GOLDEN}) if self._client.last_named(self.reference) is not None else frozenset[str]()
        descriptor, results = self._client.publish(
            self.reference, graph.documents, graph.blobs, mount_from=_mount_sources(graph.blobs, self.reference)
        )
        variants = self._tag_variants(image)
        try:
            if new:
                _put_beside(self._client, self.reference, graph.attached, asked)
            else:
                attach(self._client, self.reference, graph.attached)
        except CrateError:
            emit(Done(f"{KIND} {self.target}, without some of the documents beside it"))
            raise
        for each in (*graph.documents, *(one.config for one in image.images)) if new else ():
            _keep(connections.documents, each.descriptor.digest, each.data)  # the next build asks for them
        traffic = self._client.traffic
        reused = sum(
            each.descriptor.size for each in results if not each.bytes and each.descriptor.digest not in self._streamed
        )
        return Delivered(KIND, self.target, descriptor.digest, traffic.sent, reused, traffic.total, variants)

    def _tag_variants(self, image: Deliverable) -> dict[str, str]:
        """Gives each variant of an image that was published a tag of its own, and returns their references."""
        if self.reference.tag is None or self.reference.digest is not None:
            return {}
        tagged = {
            name: (self.reference.tagged(f"{self.reference.tag}-{name}"), each.graph().root)
            for name, each in variants_of(image).items()
        }
        for reference, root in tagged.values():
            self._client.put_manifest(reference, root.data, root.media_type)
        return {name: str(reference) for name, (reference, _) in tagged.items()}


def _keep(kept: ResultCache | None, digest: Digest, data: bytes) -> None:
    """Remembers a document for later runs, if it is small."""
    if kept is not None and len(data) <= KEPT:
        kept.put(str(digest), data)


def attach(client: RegistryClient, reference: Reference, artifacts: Sequence[Artifact]) -> None:
    """Pushes artifacts about an image that the repository has. Those that it lists already are left alone.

    An artifact with a subject becomes a referrer. An artifact with a tag is merged with the one that the tag names now.
    """
    subjects = {each.subject for each in artifacts if each.subject}
    listed = {one.digest for subject in subjects for one in client.referrers(reference.at(subject))}
    new = [each for each in artifacts if each.manifest.descriptor.digest not in listed]
    if not listed:
        _put_beside(client, reference, new, frozenset())
    else:
        _put(client, reference, new, frozenset())


def _put_beside(
    client: RegistryClient, reference: Reference, artifacts: Sequence[Artifact], asked: frozenset[str]
) -> None:
    """Pushes artifacts about an image that has none yet, as far as is known.

    A question costs one request, and what it saves is two. So it is put for what is probably there, and else a small document is sent without it:
    bills name the image, and its sources are others whenever it is another.

    Args:
        client: The client.
        reference: The repository.
        artifacts: The artifacts.
        asked: The kinds of those whose documents are probably there, beside an earlier image.
    """
    blobs = {blob.descriptor.digest: blob.descriptor.size for each in artifacts for blob in each.blobs}
    there = {blob.descriptor.digest for each in artifacts if each.kind in asked for blob in each.blobs}
    small = frozenset(digest for digest, size in blobs.items() if size <= MAX_UNASKED)
    _put(client, reference, artifacts, small - there - {EMPTY.descriptor.digest})


def _put(
    client: RegistryClient, reference: Reference, artifacts: Sequence[Artifact], unasked: frozenset[Digest]
) -> None:
    collection = RegistryCollection(client, reference)
    new = [_merge_existing(each, collection) for each in artifacts]
    blobs = {blob.descriptor.digest: blob for each in new for blob in each.blobs}
    known = client.known_blobs(reference, {each.manifest.descriptor.digest for each in new})
    client.push_blobs(reference, [blob for digest, blob in blobs.items() if digest not in known], unasked=unasked)
    client.push_referrers(reference, [each.manifest.data for each in new if not each.tag], tuple(blobs.values()))
    for each in new:
        if each.tag:
            data = each.manifest
            client.put_manifest(reference.tagged(each.tag), data.data, data.media_type, blobs=each.blobs)


def _merge_existing(artifact: Artifact, collection: RegistryCollection) -> Artifact:
    existing = collection.tagged(artifact.tag) if artifact.tag else None
    return merge(existing, artifact) if existing is not None else artifact


def _mount_sources(blobs: tuple[Blob, ...], reference: Reference) -> list[str]:
    """Returns other repositories of the same registry from which blobs can be mounted."""
    remote = [blob.ref for blob in blobs if isinstance(blob, RemoteBlob)]
    return sorted(
        {
            ref.repository
            for ref in remote
            if ref.registry == reference.registry and ref.repository != reference.repository
        }
    )


class RegistryCollection:
    """The images of one repository. See `images.manifests.Collection`.

    It is not a value, because it holds a client. The client's connections end with the process: an image that was found can be read at
    any time. `kept` has documents of earlier runs: what has the digest is the document, and some registries count how often one is fetched.
    """

    def __init__(self, client: RegistryClient, reference: Reference, kept: ResultCache | None = None) -> None:
        self.client, self.reference = client, reference
        self._documents: dict[Digest, bytes] = {}
        self._kept = kept
        self._listed: dict[Digest, list[Descriptor]] = {}

    @property
    def where(self) -> str:
        """The reference as text."""
        return str(self.reference)

    def fetch(self) -> Descriptor:
        """Reads the manifest that the reference names now, and returns its descriptor."""
        descriptor, data = self.client.manifest(self.reference)
        self._documents[descriptor.digest] = data
        return descriptor

    def read(self, descriptor: Descriptor) -> bytes:
        """Returns the bytes of a document.

        Raises:
            RegistryError: The registry has no such document, or can't be reached.
            IntegrityError: The document has another digest or size.
        """
        if (known := self._documents.get(descriptor.digest)) is not None:
            return known
        data = self._recalled(descriptor)
        if data is None:
            if is_document(descriptor):
                data = self.client.manifest(self.reference.at(descriptor.digest))[1]
            else:
                data = b"".join(verified(self.client.blob(self.reference, descriptor).chunks(), descriptor, self.where))
            _keep(self._kept, descriptor.digest, data)
        if len(data) <= KEPT:  # manifests and configs are asked for again and again
            self._documents[descriptor.digest] = data
        return data

    def _recalled(self, descriptor: Descriptor) -> bytes | None:
        """Returns a document that an earlier run has read, here or in another repository."""
        data = self._kept.get(str(descriptor.digest)) if self._kept is not None else None
        if data is None or Digest.of(data) != descriptor.digest or len(data) != descriptor.size:
            return None
        if is_document(descriptor):
            self.client.note_manifest(self.reference, descriptor.digest, data)
        return data

    def blob(self, descriptor: Descriptor) -> Blob:
        """Returns a blob. It is fetched when its chunks are taken."""
        return self.client.blob(self.reference, descriptor)

    def beside(self, digest: Digest, wanted: ArtifactFilter | None = None) -> list[Artifact]:
        """Returns the artifacts about an image: its referrers, and without a filter those under cosign's tags.

        What refers to an image is asked for once, for an image that was found is looked at as it was then.

        Raises:
            IntegrityError: There are more than MAX_ARTIFACTS.
        """
        if (listed := self._listed.get(digest)) is None:
            listed = self._listed[digest] = newest(self.client.referrers(self.reference.at(digest)))
        if len(listed) > MAX_ARTIFACTS:
            raise IntegrityError(f"has more than {MAX_ARTIFACTS} artifacts of one image", where=self.where)
        manifests = [
            each for each in listed if each.media_type == MediaType.MANIFEST and (wanted is None or wanted(each))
        ]
        found = self._read_artifacts(manifests)
        if wanted is not None:
            return found
        tags = [make_digest_tag(digest, suffix) for suffix in TAG_SUFFIXES]
        return found + [each for tag in tags if (each := self.tagged(tag)) is not None]

    def _read_artifacts(self, entries: Sequence[Descriptor]) -> list[Artifact]:
        """Reads artifacts, several at once: an image that is signed each night has many, and each is a way there and back."""

        def read(entry: Descriptor) -> Artifact:
            return read_artifact(entry, self.read(entry), self.blob)

        if len(entries) < 2:
            return [read(each) for each in entries]
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(min(AT_ONCE, len(entries)), "beside") as pool:
            return list(pool.map(read, entries))

    def tagged(self, tag: str) -> Artifact | None:
        """Returns the artifact under one of cosign's tags, if the repository has it."""
        try:
            descriptor, data = self.client.manifest(self.reference.tagged(tag))
        except NotFound:
            return None
        return read_artifact(descriptor, data, self.blob, tag)


def find(reference: Reference, connections: Connections, digest: Digest | None = None) -> Found:
    """Returns the image that a reference names now; with a digest, the image with that digest.

    Raises:
        RegistryError: The registry has no such image, or can't be reached.
    """
    client = connections.registries
    wanted = reference.at(digest) if digest is not None else reference
    return Found(RegistryCollection(client, reference, connections.documents), client.resolve(wanted))


def find_whole(reference: Reference, connections: Connections) -> Found:
    """Returns the same with its manifest, in one request instead of two: for an image whose manifest is read in any case.

    Raises:
        RegistryError: The registry has no such image, or can't be reached.
        IntegrityError: What it has is no manifest.
    """
    collection = RegistryCollection(connections.registries, reference)
    return Found(collection, collection.fetch())


def copy_referrers(found: Found, target: str, connections: Connections) -> int:
    """Copies the referrers of an image from its repository to another.

    Args:
        found: The image, in a registry.
        target: The output `registry:REF` that has the image already.
        connections: The open connections.

    Returns:
        The number of referrers.

    Raises:
        UserError: One of the two places is not a registry.
    """
    source = found.collection
    kind, _, rest = target.partition(":")
    if not isinstance(source, RegistryCollection) or kind != "registry":
        raise UserError(
            "referrers are copied from registry to registry only",
            where=target,
            hint="name registries on both sides, or leave --referrers out",
        )
    to = Reference.parse(rest)
    referrers = source.client.referrers(source.reference.at(found.descriptor.digest))
    client = connections.registries
    for descriptor in referrers:
        graph = Found(source, descriptor).graph()
        client.push_blobs(to, graph.blobs)
        client.push_referrer(to, graph.root.data)
    return len(referrers)
