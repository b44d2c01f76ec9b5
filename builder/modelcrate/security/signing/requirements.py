"""What a user requires of the signatures of images: public keys, a policy, or both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from modelcrate.images.reading import Found
from modelcrate.security.signing.keys import load_public
from modelcrate.security.signing.naming import image_identity
from modelcrate.security.signing.policy import check, read_policy
from modelcrate.security.signing.verifying import Verified, require_signature, verify

SignatureCheck = Callable[[Found, str], Verified | None]
"""Verifies an image, found under an address, and raises an IntegrityError where it is not signed as it has to be."""


def signature_check(keys: Sequence[Path], policy: Path | None) -> SignatureCheck | None:
    """Returns the check of the signatures of images; None where nothing is required.

    Args:
        keys: Files with public keys, one of which has to have signed each image.
        policy: The file with a policy, which each image has to meet.

    Raises:
        SourceError: A file can't be read.
        UserError: A file is no public key, or no policy.
    """
    if not keys and policy is None:
        return None
    public, rules = [load_public(path) for path in keys], read_policy(policy) if policy is not None else None

    def checked(found: Found, address: str) -> Verified | None:
        verified = None
        if rules is not None:
            verified = check(found, image_identity(address), rules, datetime.now(UTC))
        if public:
            verified = verify(found, public, address)
            require_signature(verified)
        return verified

    return checked
