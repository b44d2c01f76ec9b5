"""The step `attest`, between assemble and deliver: an image with all that is to be said about it beside it. The image stays what it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from modelcrate.artifact import Artifact, referrer
from modelcrate.image import Image, Index
from modelcrate.pipeline import Prepared
from modelcrate.receipt import Receipt
from modelcrate.settings import Settings
from modelcrate.trust import cyclonedx, spdx, statements
from modelcrate.trust.inventory import Inventory, inventory, moment
from modelcrate.trust.keys import Signer
from modelcrate.trust.provenance import predicate
from modelcrate.trust.signing import signatures
from modelcrate.trust.statements import CYCLONEDX, IN_TOTO, PROVENANCE, SPDX
from modelcrate_layers.content import Descriptor, Literal, canonical_json


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be said: bills of materials, provenance; and by whom, where it is signed. `identity` is what the image is called."""

    identity: str
    sbom: bool = False
    provenance: bool = False
    signer: Signer | None = None

    @property
    def anything(self) -> bool:
        return self.sbom or self.provenance or self.signer is not None


def attest(prepared: Prepared, receipt: Receipt, wanted: Wanted, settings: Settings, begun: datetime) -> Receipt:
    """The receipt of the same image, with its artifacts. Bills of materials are always made with a signature: they are what it is worth."""
    if not wanted.anything:
        return receipt
    images = receipt.image.images
    inventories = tuple(
        inventory(receipt.name, each, settings, prepared.world.pins.get(str(each.platform))) for each in images
    )
    times = (moment(settings) or begun, moment(settings) or datetime.now(UTC))
    how = predicate(prepared, inventories, settings.environment, times) if wanted.provenance or wanted.signer else None
    described = tuple(
        replace(each, attached=(*each.attached, *_about(each.manifest.descriptor, told, how, wanted)))
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
    subject: Descriptor, told: Inventory | None, how: dict[str, Any] | None, wanted: Wanted
) -> Iterator[Artifact]:
    if wanted.signer is not None:
        yield from signatures(subject, wanted.identity, wanted.signer)
    if told is not None:
        for media_type, kind, value in (
            (spdx.MEDIA_TYPE, SPDX, spdx.document(told)),
            (cyclonedx.MEDIA_TYPE, CYCLONEDX, cyclonedx.document(told)),
        ):
            yield _said(subject, kind, value, wanted.signer, media_type)
    if how is not None:
        yield _said(subject, PROVENANCE, how, wanted.signer, IN_TOTO)


def _said(subject: Descriptor, kind: str, value: dict[str, Any], signer: Signer | None, media_type: str) -> Artifact:
    """Signed as an attestation; unsigned, the document by itself."""
    if signer is not None:
        return statements.attest(subject, kind, value, signer)
    data = statements.statement(subject.digest, kind, value) if media_type == IN_TOTO else canonical_json(value)
    return referrer(subject, media_type, Literal(data, media_type))
