"""Lists of layers in a registry, signed: one manifest under a tag, whose first layer is the signed list, and the others the blobs of paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from modelcrate.images.artifact import EMPTY, make_document
from modelcrate.images.layer_list import LayerList
from modelcrate.images.reference import Reference
from modelcrate.net.errors import NotFound
from modelcrate.security.signing import statements
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Descriptor, Digest, Literal, parse_object
from modelcrate_layers.errors import IntegrityError

if TYPE_CHECKING:
    from modelcrate.security.signing.keys import PublicKey, Signer

KIND = "application/vnd.modelcrate.layers.v1+json"
"""The artifact type of a list."""

PREDICATE = "urn:modelcrate:layers:v1"

MAX_LIST = 4 << 20
"""Bytes of a signed list. One of 1000 layers has some 250,000."""


def read_list(place: Reference, keys: Sequence[PublicKey], connections: Connections) -> LayerList:
    """Reads the list at a place; an empty one where the registry has none.

    Args:
        place: Where the list is.
        keys: The keys that count.
        connections: The connections of the run.

    Raises:
        IntegrityError: None of the keys has signed it, it is a list of another repository, or it is malformed.
        RegistryError: The registry can't be used.
    """
    client = connections.registries
    try:
        _, data = client.manifest(place)
    except NotFound:
        return LayerList()
    document = parse_object(data, str(place))
    layers = document.get("layers")
    if document.get("artifactType") != KIND or not isinstance(layers, list) or not layers:
        raise IntegrityError("what the tag names is no list of layers", where=str(place))
    stored = Descriptor.parse(layers[0])
    if stored.media_type not in statements.BUNDLES:
        raise IntegrityError("it is not signed", where=str(place))
    envelope = statements.parse_bundle(client.blob(place, stored).read(MAX_LIST))
    if envelope.payload_type != statements.IN_TOTO or not any(envelope.signed_by(key) for key in keys):
        raise IntegrityError("none of the keys that count has signed it", where=str(place))
    said = statements.parse_statement(envelope.payload)
    if said.predicate_type != PREDICATE or _subject(place) not in said.subjects:
        raise IntegrityError("what was signed is no list of this repository", where=str(place))
    return LayerList.parse(said.predicate)


def _subject(place: Reference) -> Digest:
    """What a list is said to be about: its repository, so that it can't be put into another one."""
    return Digest.of(place.repository.encode())


def write_list(
    place: Reference, listed: LayerList, made: Mapping[Digest, Literal], signer: Signer, connections: Connections
) -> None:
    """Signs a list and puts it into the place of the one that is there.

    Args:
        place: Where the list is.
        listed: The list.
        made: The blobs of paths that the registry may lack, by digest.
        signer: The key that signs it.
        connections: The connections of the run.

    Raises:
        RegistryError: The registry refused, or can't be used.
    """
    client = connections.registries
    said = statements.statement(_subject(place), PREDICATE, listed.json())
    bundle = Literal(statements.bundle(said, signer), statements.BUNDLE)
    paths = {each.digest: each for each in listed.paths.values()}
    manifest = make_document(KIND, EMPTY.descriptor, (bundle.descriptor, *paths.values()), {})
    needed = [EMPTY, bundle, *(blob for digest, blob in made.items() if digest in paths)]
    client.push_blobs(place, needed)
    client.put_manifest(place, manifest.data, manifest.media_type, blobs=needed)
