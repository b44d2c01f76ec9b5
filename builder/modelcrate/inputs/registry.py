"""Images in a registry. Layers are fetched only when somebody reads them."""

from __future__ import annotations

from dataclasses import dataclass, field

from modelcrate.inputs import Found
from modelcrate.reference import Reference
from modelcrate.registry.verbs import Client as Registry
from modelcrate.settings import Settings
from modelcrate_layers.content import Blob, Descriptor, Digest, verified
from modelcrate_layers.errors import UserError


@dataclass(frozen=True, slots=True)
class RegistryCollection:
    """One repository. The client's connections end with the process: an image that was found may be read at any time."""

    client: Registry = field(repr=False, compare=False)
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


def find(text: str, settings: Settings, digest: Digest | None = None) -> Found:
    """What a reference names now; with a digest, that one."""
    reference = Reference.parse(text)
    client = settings.registry()
    wanted = reference.at(digest) if digest is not None else reference
    return Found(RegistryCollection(client, reference), client.resolve(wanted))


def copy_referrers(found: Found, target: str, settings: Settings) -> int:
    """Copy what refers to an image from its repository to another: blobs, then the referrers themselves. Returns how many."""
    source = found.collection
    kind, _, rest = target.partition(":")
    if not isinstance(source, RegistryCollection) or kind != "registry":
        raise UserError("referrers are copied from registry to registry only", where=target)
    to = Reference.parse(rest)
    referrers = source.client.referrers(source.reference.at(found.descriptor.digest))
    with settings.registry() as client:
        for descriptor in referrers:
            graph = Found(source, descriptor).graph()
            client.push_blobs(to, graph.blobs)
            client.push_referrer(to, graph.root.data)
    return len(referrers)
