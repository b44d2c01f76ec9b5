"""The step `attest`, between assemble and deliver: an image with all that is to be said about it beside it. The image stays what it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from modelcrate.home.settings import Settings
from modelcrate.images.artifact import Artifact, referrer
from modelcrate.images.image import Image, Index
from modelcrate.pipeline.receipt import Receipt
from modelcrate.pipeline.session import Prepared
from modelcrate.security.sbom import contents_artifact, cyclonedx, spdx
from modelcrate.security.sbom.contents import LayerContents
from modelcrate.security.sbom.inventory import Inventory, creation_time, inventory
from modelcrate.security.sbom.layer_contents import gather_contents
from modelcrate.security.sbom.layer_scan import KnownFacts
from modelcrate.security.signing import statements
from modelcrate.security.signing.statements import CYCLONEDX, IN_TOTO, PROVENANCE, SPDX
from modelcrate_layers.content import Descriptor, Digest, Literal, canonical_json
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.tar.sources import FileRange

if TYPE_CHECKING:
    from modelcrate.security.signing.keys import Signer


@dataclass(frozen=True, slots=True)
class AttestationOptions:
    """What is to be said: bills of materials, provenance; and by whom, where it is signed. `identity` is what the image is called.

    With `fetch`, layers that lie elsewhere are fetched to be looked through, where nobody tells of them.
    """

    identity: str
    sbom: bool = False
    fetch: bool = False
    provenance: bool = False
    signer: Signer | None = None

    @property
    def anything(self) -> bool:
        return self.sbom or self.provenance or self.signer is not None


def attest(
    prepared: Prepared,
    receipt: Receipt,
    wanted: AttestationOptions,
    settings: Settings,
    begun: datetime,
    hashes: Mapping[FileRange, str],
) -> Receipt:
    """The receipt of the same image, with its artifacts. `hashes` are those of models' files that were read on the way."""
    if not wanted.anything:
        return receipt
    images = receipt.image.images
    earlier = () if prepared.request.paranoid else prepared.previous
    key = wanted.signer.public if wanted.signer is not None else None
    layers = [layer for each in images for layer in each.layers]
    known = gather_contents(layers, settings, earlier, key, wanted.fetch, KnownFacts(prepared.facts, hashes))
    inventories = tuple(
        inventory(receipt.name, each, settings, prepared.world.pins.get(str(each.platform)), known) for each in images
    )
    times = (creation_time(settings) or begun, creation_time(settings) or datetime.now(UTC))
    how = None
    if wanted.provenance or wanted.signer is not None:
        from modelcrate.security.signing.provenance import predicate

        how = predicate(prepared, inventories, settings.environment, times)
    described = tuple(
        replace(
            each,
            attached=(
                *each.attached,
                *_about(each.manifest.descriptor, told, how, wanted),
                *_known(each, known, wanted),
            ),
        )
        for each, told in zip(images, inventories, strict=True)
    )
    whole = receipt.image
    if isinstance(whole, Index):
        own = tuple(_about(whole.index.descriptor, None, how, wanted))
        made: Image | Index = replace(whole, images=described, attached=(*whole.attached, *own))
    else:
        (made,) = described
    return replace(receipt, image=made)


def _about(
    subject: Descriptor, told: Inventory | None, how: dict[str, Any] | None, wanted: AttestationOptions
) -> Iterator[Artifact]:
    if wanted.signer is not None:
        from modelcrate.security.signing.signing import signatures

        yield from signatures(subject, wanted.identity, wanted.signer)
    if told is not None and wanted.sbom:
        for media_type, kind, value in (
            (spdx.MEDIA_TYPE, SPDX, spdx.document(told)),
            (cyclonedx.MEDIA_TYPE, CYCLONEDX, cyclonedx.document(told)),
        ):
            yield _said(subject, kind, value, wanted.signer, media_type)
    if how is not None:
        yield _said(subject, PROVENANCE, how, wanted.signer, IN_TOTO)


def _known(image: Image, known: Mapping[Digest, LayerContents], wanted: AttestationOptions) -> Iterator[Artifact]:
    """What the layers hold, for the next build."""
    told = {each.layer.diff_id: known[each.layer.diff_id] for each in image.layers if each.layer.diff_id in known}
    if told and wanted.sbom:
        yield contents_artifact.contents_artifact(image.manifest.descriptor, told, wanted.signer)


def _said(subject: Descriptor, kind: str, value: dict[str, Any], signer: Signer | None, media_type: str) -> Artifact:
    """Signed as an attestation; unsigned, the document by itself."""
    if signer is not None:
        return statements.attest(subject, kind, value, signer)
    data = statements.statement(subject.digest, kind, value) if media_type == IN_TOTO else canonical_json(value)
    return referrer(subject, media_type, Literal(data, media_type))
