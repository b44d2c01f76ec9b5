"""What is put beside an image that was made of another one: by `rebase`, `swap-model`, and changes of its config."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from modelcrate.config import Config
from modelcrate.images.artifact import Artifact, make_referrer
from modelcrate.images.image import Image, Index
from modelcrate.images.previous import Previous
from modelcrate.images.reading import Found
from modelcrate.images.sources import Changes, is_sources, make_sources, read_sources
from modelcrate.inspect.golden_requests import KIND as TESTS
from modelcrate.pipeline.attest import ArtifactMaker, indexes, is_bill
from modelcrate.pipeline.changed_sources import find_changes
from modelcrate.pipeline.request import AttestationOptions
from modelcrate.security.sbom.contents import LayerContents
from modelcrate.security.sbom.inventory import inventory
from modelcrate.security.sbom.layer_contents import gather_contents
from modelcrate_layers.content import Descriptor, Digest
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass, replace

if TYPE_CHECKING:
    from modelcrate.security.signing.keys import Signer
    from modelcrate.security.signing.verifying import Verified


def attest_changed(
    made: Image | Index, before: Found, identity: str, config: Config, options: AttestationOptions
) -> Image | Index:
    """Returns an image that was made of another one, with what was beside that one and holds for it.

    Golden requests and sources are taken over; these with what was changed. Bills of materials are made anew of the layers, where the other image has
    some, or where they are asked for; the layers of its base are fetched for them, once on a machine. Signatures and provenance are of the other
    image alone.

    Args:
        made: The image.
        before: The image that it was made of.
        identity: Its name in signatures.
        config: The configuration; its home remembers the contents of layers.
        options: Whether bills are made, where the other image does not decide it, and the key that signs them and the image.

    Raises:
        IntegrityError: There is a key, and it has not signed the image before: what nobody vouched for is not vouched for by a change.
    """
    vouched = _require_signed(before, options.signer).sources if options.signer is not None else frozenset()
    maker = ArtifactMaker(config, identity, False, options.signer, None)
    olds = before.read().images
    changes = find_changes(olds, made.images)
    change = _Change(before, changes, vouched, config, options)
    described = [_attest_changed(each, old, change, maker) for each, old in zip(made.images, olds, strict=True)]
    if isinstance(made, Image):
        return described[0]
    own = chain.from_iterable(maker.artifacts(each, None) for each in indexes(made))
    return replace(made, images=tuple(described), attached=tuple(own))


@dataclass(frozen=True, slots=True)
class _Change:
    """How an image was made of another one.

    Attributes:
        before: The other one.
        changes: What it has instead.
        vouched: The sources beside the other one that the key has signed.
        config: The configuration.
        options: What is put beside it.
    """

    before: Found
    changes: Changes
    vouched: frozenset[Digest]
    config: Config
    options: AttestationOptions


def _require_signed(before: Found, signer: Signer) -> Verified:
    from modelcrate.security.signing.verifying import require_signature, verify

    name = before.collection.where
    try:
        verified = verify(before, (signer.public,), name)
        require_signature(verified)
    except IntegrityError as fault:
        raise IntegrityError(
            "is not signed by this key, so what is made of it is not signed again",
            where=name,
            why=fault.sentence,
            hint="if you vouch for it, sign it first: modelcrate sign IMAGE --key KEY; or leave --sign out",
        ) from fault
    return verified


def _attest_changed(image: Image, old: Image, change: _Change, maker: ArtifactMaker) -> Image:
    before, config, options = change.before, change.config, change.options
    if image.digest == old.digest:  # a variant that was not changed keeps what is beside it
        return replace(image, attached=tuple(before.about(old.digest, lambda entry: True)))
    listed: list[Descriptor] = []

    def wanted_of(entry: Descriptor) -> bool:
        listed.append(entry)  # of the bills no more is looked at than that they are there
        return entry.rest.get("artifactType") == TESTS

    beside = before.about(old.manifest.descriptor.digest, wanted_of)
    if not any(each.kind == TESTS for each in image.attached):
        image = replace(image, attached=(*image.attached, *_tests(image, beside)))
    if any(map(is_sources, listed)):
        image = _with_sources_of(old, image, change, maker)
    wanted = any(map(is_bill, listed)) if options.sbom is None else options.sbom
    if not wanted and options.signer is None:
        return image
    known: dict[Digest, LayerContents] = {}
    if wanted:
        key = options.signer.public if options.signer is not None else None
        earlier = (Previous(before.collection.where, old, found=before),)
        base, own = ([each for each in image.layers if (each.role == "base") is below] for below in (True, False))
        known = gather_contents(base, config, key=key)
        known |= gather_contents(own, config, earlier, key, fetch=bool(options.sbom or options.signer))
    maker = replace(maker, sbom=wanted)
    contents = inventory(image.title or maker.identity, image, config, None, known) if wanted else None
    made = (*maker.artifacts(image.manifest.descriptor, contents), *maker.layer_contents(image, known))
    return replace(image, attached=(*image.attached, *made))


def _with_sources_of(old: Image, image: Image, change: _Change, maker: ArtifactMaker) -> Image:
    """Returns the image with the sources of the other one. Those that the key has signed there are signed here."""
    made: list[Artifact] = []
    for each in read_sources(change.before, old):
        changes = each.changes.then(change.changes)
        artifact = make_sources(image.manifest.descriptor, each.file, each.version, each.blob, changes)
        made += (artifact, *(maker.vouch(image, artifact) if each.digest in change.vouched else ()))
    return replace(image, attached=(*image.attached, *made))


def _tests(image: Image, beside: Sequence[Artifact]) -> Iterator[Artifact]:
    """Yields golden requests of another image, for this one."""
    for each in beside:
        (blob,) = each.blobs[-1:]
        yield make_referrer(image.manifest.descriptor, TESTS, blob)
