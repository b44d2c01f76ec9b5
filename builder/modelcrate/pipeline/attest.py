"""The step `attest`, between assemble and deliver: adds bills of materials, provenance and signatures beside an image. Its digest stays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

from modelcrate.config import Config
from modelcrate.images.artifact import CREATED_ANNOTATION, ONCE_ANNOTATION, Artifact, make_referrer
from modelcrate.images.image import Copy, Image, Index, parts_of
from modelcrate.pipeline.locking import built_pins
from modelcrate.pipeline.prepare import Prepared
from modelcrate.pipeline.receipt import Receipt
from modelcrate.pipeline.request import PUSHED
from modelcrate.security.sbom import contents_artifact, cyclonedx, spdx
from modelcrate.security.sbom.contents import LayerContents
from modelcrate.security.sbom.inventory import Inventory, inventory
from modelcrate.security.sbom.layer_contents import gather_contents, note_lacking, recall_scans
from modelcrate.security.sbom.layer_scan import KnownFacts
from modelcrate.security.signing import statements
from modelcrate.security.signing.naming import image_identity
from modelcrate.security.signing.statements import CYCLONEDX, IN_TOTO, NO_NOTES, PROVENANCE, SOURCES, SPDX
from modelcrate_layers.content import Descriptor, Digest, Literal, canonical_json
from modelcrate_layers.frozen import dataclass, replace
from modelcrate_layers.tar.sources import FileRange

if TYPE_CHECKING:
    from modelcrate.images.reading import Found
    from modelcrate.security.signing.keys import Signer
    from modelcrate.security.signing.signing import Predicate
    from modelcrate.transports.connections import Connections
    from modelcrate.transports.output import Output


def attest(
    prepared: Prepared,
    receipt: Receipt,
    outputs: Sequence[Output],
    connections: Connections,
    begun: datetime,
    hashes: Mapping[FileRange, str],
) -> Receipt:
    """Returns the receipt of the same image with the artifacts of its request.

    Args:
        prepared: What the image was made from.
        receipt: The image.
        outputs: Where the image goes: a registry's reference is its name in signatures.
        connections: The open connections. The home of their settings remembers the contents of layers.
        begun: When the build began, for the provenance.
        hashes: SHA-256 in hex of models' files that were read on the way.
    """
    options, config = prepared.request.attestations, connections.config
    if options.sources:
        receipt = _with_sources(prepared, receipt, config)
    sbom = options.wants_sbom(outputs)
    if not (sbom or options.provenance or options.signer):
        return receipt  # and no layer is looked at
    images = receipt.image.images
    earlier = () if prepared.request.paranoid else prepared.previous
    signer = options.signer
    if signer is not None:
        from modelcrate.security.signing.repeated import repeated
        from modelcrate.transports.addresses import find_there

        there = (found for _, found in find_there(outputs, connections))
        signer = repeated(signer, (each for each in there if each.descriptor.digest == receipt.image.digest))
    key = signer.public if signer is not None else None
    layers = [layer for each in images for layer in each.layers]
    fetch = bool(options.sbom or signer)
    known = gather_contents(layers, config, earlier, key, fetch, KnownFacts(prepared.facts, hashes))
    inventories = tuple(inventory(receipt.name, each, config, prepared.pins.get(each.label), known) for each in images)
    provenance = None
    if options.provenance or signer is not None:
        provenance = _provenance(prepared, inventories, config, begun)
    pushed = [each.target for each in outputs if each.kind == PUSHED]
    for each in _first_described(prepared, images):
        note_lacking(each, pushed, known, config, key)
    name = pushed[0] if pushed else receipt.name
    maker = ArtifactMaker(config, image_identity(name), sbom, signer, provenance)
    described = tuple(
        replace(
            each,
            attached=(
                *each.attached,
                *maker.artifacts(each.manifest.descriptor, contents),
                *maker.layer_contents(each, known),
                *maker.signed_sources(each),
            ),
        )
        for each, contents in zip(images, inventories, strict=True)
    )
    built = receipt.image
    if isinstance(built, Index):
        own = tuple(chain.from_iterable(maker.artifacts(each, None) for each in indexes(built)))
        made: Image | Index = replace(built, images=described, attached=(*built.attached, *own))
    else:
        (made,) = described
    return replace(receipt, image=made)


def _first_described(prepared: Prepared, images: Sequence[Image]) -> Iterator[Image]:
    """Yields the images beside which nobody has said anything, as far as is known: their repositories were asked, and name others."""
    if prepared.request.reuse and not prepared.request.paranoid:
        there = {each.image.digest for each in prepared.previous}
        yield from (each for each in images if each.digest not in there)


def indexes(built: Index) -> Iterator[Descriptor]:
    """Yields the index, and those that its default and its variants for several platforms are by themselves: each can be taken alone."""
    yield built.index.descriptor
    yield from (each.descriptor for each in parts_of(built).values() if isinstance(each, Index))


def _with_sources(prepared: Prepared, receipt: Receipt, config: Config) -> Receipt:
    from modelcrate.pipeline.sources import make_sources

    built = receipt.image
    beside = make_sources(built.images, prepared, config)
    made = tuple(replace(each, attached=(*each.attached, one)) for each, one in zip(built.images, beside, strict=True))
    return replace(receipt, image=replace(built, images=made) if isinstance(built, Index) else made[0])


def attest_copy(copied: Copy, config: Config) -> Copy:
    """Returns an existing image with bills of materials, if it has none. An image that was built here gets those of its build.

    Nothing is fetched: a remote layer is listed as not read.
    """
    if not copied.images or any(is_bill(each.descriptor) for each in copied.contents.attached):
        return copied
    known = gather_contents([layer for each in copied.images for layer in each.layers], config, fetch=False)
    pins = built_pins(copied.digest, config)
    maker = ArtifactMaker(config, "", True, None, None)
    made: list[Artifact] = []
    for each in copied.images:
        contents = inventory(each.title, each, config, pins.get(each.label), known)
        made += (*maker.artifacts(each.manifest.descriptor, contents), *maker.layer_contents(each, known))
    return replace(copied, contents=replace(copied.contents, attached=(*copied.contents.attached, *made)))


def is_bill(entry: Descriptor) -> bool:
    """Returns whether an artifact is a bill of materials, signed or not, by its entry in a list."""
    kinds = entry.rest.get("artifactType"), entry.annotations.get("dev.sigstore.bundle.predicateType")
    return not {spdx.MEDIA_TYPE, cyclonedx.MEDIA_TYPE, SPDX, CYCLONEDX}.isdisjoint(kinds)


def attest_anew(found: Found, identity: str, config: Config, signer: Signer) -> list[Predicate]:
    """Returns bills of materials to sign, for the images that have unsigned ones beside them.

    They are made from the layers, which are fetched where their contents are not known: anyone who may write to the repository may have put
    the unsigned ones there.

    Args:
        found: The image.
        identity: Its name in the documents, where it has no title.
        config: The configuration; its home remembers the contents of layers.
        signer: The key. Contents that it has signed are believed.
    """
    from modelcrate.security.signing.signing import Predicate, unsigned

    beside, made = unsigned(found), []
    pins = built_pins(found.descriptor.digest, config)
    for each in found.read().images if beside else ():
        subject = each.manifest.descriptor
        if kinds := beside.get(subject.digest, set()) & {SPDX, CYCLONEDX}:
            known = gather_contents(each.layers, config, key=signer.public)
            contents = inventory(each.title or identity, each, config, pins.get(each.label), known)
            values = {SPDX: spdx.document(contents), CYCLONEDX: cyclonedx.document(contents)}
            made += [Predicate(subject, kind, values[kind]) for kind in sorted(kinds)]
    return made


def _provenance(
    prepared: Prepared, inventories: tuple[Inventory, ...], config: Config, begun: datetime
) -> dict[str, Any]:
    from modelcrate.security.signing.provenance import BuildInputs, predicate

    request = prepared.request
    codecs = sorted({each.policy for plan in prepared.all_plans for each in plan.layers})
    inputs = BuildInputs(request.project, request.folder, request.locked, prepared.all_platforms, tuple(codecs))
    return predicate(
        inputs, inventories, config.environment, (config.created or begun, config.created or datetime.now(UTC))
    )


@dataclass(frozen=True, slots=True)
class ArtifactMaker:
    """Makes the artifacts beside the images of a build.

    Attributes:
        config: The settings; their home remembers what is known of layers.
        identity: The image's name in signatures.
        sbom: Whether bills of materials are made.
        signer: The key, if artifacts are signed.
        provenance: The provenance predicate.
    """

    config: Config
    identity: str
    sbom: bool
    signer: Signer | None
    provenance: dict[str, Any] | None

    def artifacts(self, subject: Descriptor, contents: Inventory | None) -> Iterator[Artifact]:
        """Yields signatures, bills of materials and provenance of one image or index; an index has no contents of its own."""
        if self.signer is not None:
            from modelcrate.security.signing.signing import signatures

            yield from signatures(subject, self.identity, self.signer)
        if contents is not None and self.sbom:
            for media_type, kind, value in (
                (spdx.MEDIA_TYPE, SPDX, spdx.document(contents)),
                (cyclonedx.MEDIA_TYPE, CYCLONEDX, cyclonedx.document(contents)),
            ):
                yield self._statement(subject, kind, value, media_type)
        if self.provenance is not None:
            by = self.signer.public.hint if self.signer is not None else "unsigned"
            ended = str(self.provenance["runDetails"]["metadata"]["finishedOn"])
            notes = {ONCE_ANNOTATION: f"provenance {by}", CREATED_ANNOTATION: ended}
            yield self._statement(subject, PROVENANCE, self.provenance, IN_TOTO, notes)

    def layer_contents(self, image: Image, known: Mapping[Digest, LayerContents]) -> Iterator[Artifact]:
        """Yields the artifact with the contents of layers, for the next build."""
        if not self.sbom:
            return
        key = self.signer.public if self.signer is not None else None
        base = [each for each in image.layers if each.role == "base"]
        facts = contents_artifact.LayerFacts(known, recall_scans(base, self.config, key)).of(image)
        if facts:
            yield contents_artifact.contents_artifact(image.manifest.descriptor, facts, self.signer)

    def signed_sources(self, image: Image) -> Iterator[Artifact]:
        """Yields a signed statement about each of the sources that a build has put beside its image."""
        if self.signer is None:
            return
        from modelcrate.images.sources import is_sources

        for each in image.attached:
            if is_sources(each.descriptor):
                yield from self.vouch(image, each)

    def vouch(self, image: Image, sources: Artifact) -> Iterator[Artifact]:
        """Yields the signed statement that sources are those of an image; nothing without a signer."""
        if self.signer is not None:
            told = {"artifact": str(sources.manifest.descriptor.digest)}
            yield statements.attest(image.manifest.descriptor, SOURCES, told, self.signer)

    def _statement(
        self,
        subject: Descriptor,
        kind: str,
        value: dict[str, Any],
        media_type: str,
        notes: Mapping[str, str] = NO_NOTES,
    ) -> Artifact:
        """Returns a signed attestation; without a signer, the plain document. `notes` are annotations of it."""
        if self.signer is not None:
            return statements.attest(subject, kind, value, self.signer, notes)
        data = statements.statement(subject.digest, kind, value) if media_type == IN_TOTO else canonical_json(value)
        return make_referrer(subject, media_type, Literal(data, media_type), notes)
