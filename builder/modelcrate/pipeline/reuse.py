"""Layers taken over from images that exist: the one under the tag that is pushed to, and those that --cache-from names.

A layer is taken by its key, if it has one and is stored as ours would be; a layer of files by its diff id, once that is
measured. What a key promises is believed here and checked by `verify` and --paranoid. Nobody's bytes are fetched for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from modelcrate.events import Emit, Notice
from modelcrate.home.settings import Settings
from modelcrate.images.image import Image, ImageLayer
from modelcrate_layers.content import Digest, Platform
from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.tar import codec as codecs

if TYPE_CHECKING:
    from modelcrate.images.reading import Found

ASKERS = 16
"""HEAD requests at once."""


@runtime_checkable
class RemoteContent(Protocol):
    """A blob that may have gone since the image was read that names it."""

    def there(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Previous:
    """An image that may have what is wanted, and the words for where it is. `lost` are layers that it names and that are gone."""

    where: str
    image: Image = field(repr=False)
    missing: frozenset[Digest] = frozenset()
    found: Found | None = field(repr=False, compare=False, default=None)
    """Where it was found, so that what stands beside it can be read."""

    def by_key(self, key: Digest, policy: str) -> ImageLayer | None:
        """The layer with a key, if it is there, and stored as this setting would store it today."""
        wanted = set(map(str, codecs.of_policy(policy)))
        fitting = (each for each in self.with_key(key) if str(each.layer.codec) in wanted)
        return next((each for each in fitting if each.descriptor.digest not in self.missing), None)

    def with_key(self, key: Digest) -> Iterator[ImageLayer]:
        """The layers with a key, however they are stored, and whether they are still there or not."""
        return (each for each in self.image.layers if each.key == key)

    def by_diff_id(self, diff_id: Digest, codec: str) -> ImageLayer | None:
        """The layer with these bytes, stored by a codec of this name, whatever its version."""
        return next(
            (
                each
                for each in self.image.layers
                if each.layer.diff_id == diff_id and each.layer.codec.name == codec and not each.foreign
            ),
            None,
        )


def missing_layers(layers: Iterable[ImageLayer]) -> frozenset[Digest]:
    """Those of these layers whose blobs have vanished from their registries. All are asked for at once."""
    wanted = {each.descriptor.digest: each for each in layers if isinstance(each.blob, RemoteContent)}
    if not wanted:
        return frozenset()

    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(ASKERS, len(wanted)), "reuse") as pool:
        there = pool.map(still_exists, wanted.values())
        return frozenset(digest for digest, found in zip(wanted, there, strict=True) if not found)


def still_exists(layer: ImageLayer) -> bool:
    """Whether a layer's bytes can still be had. A registry that doesn't answer has none."""
    try:
        return layer.blob.there() if isinstance(layer.blob, RemoteContent) else True
    except CrateError:
        return False


def contradictions(layers: Iterable[ImageLayer], previous: Sequence[Previous]) -> Iterator[str]:
    """What layers that were just made say of those that earlier images have under the same keys, where the bytes are others."""
    for layer in layers:
        if layer.origin != "built" or layer.key is None:
            continue
        for each in previous:
            for other in each.with_key(layer.key):
                if other.layer.diff_id != layer.layer.diff_id:
                    yield (
                        f"{each.where}: the key of its layer {layer.role} {layer.name} lies: "
                        f"these inputs give {layer.layer.diff_id}, and it has {other.layer.diff_id}"
                    )


def find_previous(addresses: Sequence[str], platform: Platform, settings: Settings, emit: Emit) -> tuple[Previous, ...]:
    """The images at these addresses, for this platform. One that can't be had is no fault: it is said, and there is nothing to reuse."""
    from modelcrate.transports.addresses import find

    found = []
    for address in addresses:
        try:
            there = find(address, settings)
            found.append(Previous(address.removeprefix("registry:"), there.image(platform), found=there))
        except CrateError as fault:
            if getattr(fault, "status", None) == 404:  # a first push: there is nothing yet
                continue
            emit(Notice(f"nothing to reuse in {address.removeprefix('registry:')}: {fault.what}"))
    return tuple(found)
