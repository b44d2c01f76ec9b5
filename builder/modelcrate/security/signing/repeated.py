"""Signatures that are beside an image already: a key behind a command signs equal bytes otherwise each time, and all of them would be kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

from modelcrate.images.reading import Found
from modelcrate.security.signing.keys import CommandKey, PublicKey, Signer
from modelcrate.security.signing.verifying import signed_beside
from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import dataclass, field


@dataclass(frozen=True, slots=True)
class Repeated:
    """A signer that signs nothing a second time: what it has signed before gets the signature of then."""

    signer: Signer
    made: Mapping[bytes, bytes] = field(repr=False, hash=False)

    @property
    def public(self) -> PublicKey:
        """The public key of the pair."""
        return self.signer.public

    def sign(self, data: bytes) -> bytes:
        """Returns the signature of the data, in DER."""
        return self.made.get(data) or self.signer.sign(data)


def repeated(signer: Signer, beside: Iterable[Found]) -> Signer:
    """Returns a signer that makes those of its signatures that are beside these images once more. Each of them is verified.

    Keys in a file need it not: their signatures of equal bytes are equal.
    """
    if not isinstance(signer, CommandKey):
        return signer
    made: dict[bytes, bytes] = {}
    for found in beside:
        with suppress(CrateError):  # what can't be read is signed anew
            made.update(
                (data, signature)
                for data, signature in signed_beside(found)
                if data not in made and signer.public.verifies(signature, data)
            )
    return Repeated(signer, made)
