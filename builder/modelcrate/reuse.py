"""Layers taken over from images that exist: the one under the tag that is pushed to, and those that --cache-from names.

A layer is taken by its key, if it has one and is stored as ours would be; a layer of files by its diff id, once that is
measured. What a key promises is believed here and checked by `verify` and --paranoid. Nobody's bytes are fetched for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from modelcrate.events import Emit, Notice
from modelcrate.image import Image, ImageLayer
from modelcrate.settings import Settings
from modelcrate_layers import codec as codecs
from modelcrate_layers.content import Digest, Platform
from modelcrate_layers.errors import CrateError


@dataclass(frozen=True, slots=True)
class Previous:
    """An image that may have what is wanted, and the words for where it is."""

    where: str
    image: Image = field(repr=False)

    def by_key(self, key: Digest, policy: str) -> ImageLayer | None:
        """The layer with a key, if it is stored as this setting would store it today."""
        wanted = {str(codecs.zstd()), str(codecs.NONE)} if policy == "auto" else {str(codecs.named(policy))}
        return next((each for each in self.image.layers if each.key == key and str(each.layer.codec) in wanted), None)

    def by_diff_id(self, diff_id: Digest) -> ImageLayer | None:
        """The layer with these bytes, however it is stored."""
        return next((each for each in self.image.layers if each.layer.diff_id == diff_id and not each.foreign), None)


def find_previous(addresses: Sequence[str], platform: Platform, settings: Settings, emit: Emit) -> tuple[Previous, ...]:
    """The images at these addresses, for this platform. One that can't be had is no fault: it is said, and there is nothing to reuse."""
    from modelcrate.inputs.addresses import find

    found = []
    for address in addresses:
        try:
            found.append(Previous(address.removeprefix("registry:"), find(address, settings).image(platform)))
        except CrateError as fault:
            if getattr(fault, "status", None) == 404:  # a first push: there is nothing yet
                continue
            emit(Notice(f"nothing to reuse in {address.removeprefix('registry:')}: {fault.what}"))
    return tuple(found)
