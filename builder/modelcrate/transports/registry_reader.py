"""Images in a registry. Layers are fetched only when somebody reads them."""

from __future__ import annotations

from dataclasses import field

from modelcrate.images.artifact import MAX_ARTIFACTS, TAG_SUFFIXES, Artifact, make_digest_tag, read_artifact
from modelcrate.images.manifests import ArtifactFilter
from modelcrate.images.reading import Found
from modelcrate.images.reference import Reference
from modelcrate.net.errors import NotFound
from modelcrate.registry.client import RegistryClient
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Blob, Descriptor, Digest, MediaType, verified
from modelcrate_layers.errors import IntegrityError, UserError
from modelcrate_layers.frozen import dataclass


@dataclass(frozen=True, slots=True)
class RegistryCollection:
    """One repository. The client's connections end with the process: an image that was found may be read at any time."""

    client: RegistryClient = field(repr=False, compare=False)
    reference: Reference

    @property
    def where(self) -> str:
        return str(self.reference)

    def read(self, descriptor: Descriptor) -> bytes:
        if "manifest" in descriptor.media_type or "index" in descriptor.media_type:
            return self.client.manifest(self.reference.at(descriptor.digest))[1]
        return b"".join(verified(self.client.blob(self.reference, descriptor).chunks(), descriptor, self.where))

    def blob(self, descriptor: Descriptor) -> Blob:
        return self.client.blob(self.reference, descriptor)

    def beside(self, digest: Digest, wanted: ArtifactFilter | None = None) -> list[Artifact]:
        listed = self.client.referrers(self.reference.at(digest))
        if len(listed) > MAX_ARTIFACTS:
            raise IntegrityError(f"has more than {MAX_ARTIFACTS} artifacts of one image", where=self.where)
        manifests = [each for each in listed if each.media_type == MediaType.MANIFEST]
        if wanted is not None:
            return [read_artifact(each, self.read(each), self.blob) for each in manifests if wanted(each)]
        found = [read_artifact(each, self.read(each), self.blob) for each in manifests]
        tags = [make_digest_tag(digest, suffix) for suffix in TAG_SUFFIXES]
        return found + [each for tag in tags if (each := self.tagged(tag)) is not None]

    def tagged(self, tag: str) -> Artifact | None:
        """What stands under a tag of cosign's, if anything does."""
        try:
            descriptor, data = self.client.manifest(self.reference.tagged(tag))
        except NotFound:
            return None
        return read_artifact(descriptor, data, self.blob, tag)


def find(reference: Reference, connections: Connections, digest: Digest | None = None) -> Found:
    """Returns what a reference names now; with a digest, that one."""
    client = connections.registries
    wanted = reference.at(digest) if digest is not None else reference
    return Found(RegistryCollection(client, reference), client.resolve(wanted))


def copy_referrers(found: Found, target: str, connections: Connections) -> int:
    """Copy what refers to an image from its repository to another: blobs, then the referrers themselves. Returns how many."""
    source = found.collection
    kind, _, rest = target.partition(":")
    if not isinstance(source, RegistryCollection) or kind != "registry":
        raise UserError("referrers are copied from registry to registry only", where=target)
    to = Reference.parse(rest)
    referrers = source.client.referrers(source.reference.at(found.descriptor.digest))
    client = connections.registries
    for descriptor in referrers:
        graph = Found(source, descriptor).graph()
        client.push_blobs(to, graph.blobs)
        client.push_referrer(to, graph.root.data)
    return len(referrers)
