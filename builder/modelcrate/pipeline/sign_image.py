"""Signs an image that exists, for the command and the library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcrate.events import Emit, Notice
from modelcrate.pipeline.attest import attest_anew
from modelcrate.security.signing.naming import image_identity
from modelcrate.security.signing.signing import sign, unsigned
from modelcrate.security.signing.statements import PROVENANCE

if TYPE_CHECKING:
    from modelcrate.config import Config
    from modelcrate.images.artifact import Artifact
    from modelcrate.images.reading import Found
    from modelcrate.security.signing.keys import Signer


def sign_image(found: Found, address: str, config: Config, signer: Signer, emit: Emit) -> tuple[Artifact, ...]:
    """Signs an image and stores the signature beside it. Where unsigned bills of materials are there, new ones are made and signed.

    Args:
        found: The image.
        address: Where it was found; it is named so in the documents.
        config: The configuration; its home remembers the contents of layers.
        signer: The key.
        emit: Gets a notice about what is not signed.

    Returns:
        What was put beside the image.

    Raises:
        UserError: Nothing can be stored beside an image of this kind.
    """
    identity = image_identity(address)
    if any(PROVENANCE in kinds for kinds in unsigned(found).values()):
        emit(Notice("attached provenance is not signed: only a build can say how it went (build --sign)"))
    return sign(found, identity, signer, attest_anew(found, identity, config, signer))
