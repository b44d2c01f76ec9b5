"""An earlier image whose layers a build may take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

from modelcrate.images.image import Image, ImageLayer
from modelcrate.images.reading import Found
from modelcrate_layers.content import Digest
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.tar.codec import Codec


@runtime_checkable
class RemoteContent(Protocol):
    """A blob that may have gone since the image was read that names it."""

    def exists(self) -> bool:
        """Returns whether the registry still has the blob."""


@dataclass(frozen=True, slots=True)
class Previous:
    """An image that may have what is wanted, and its place in words. `missing` are layers that it names and that are gone."""

    where: str
    image: Image = field(repr=False)
    missing: frozenset[Digest] = frozenset()
    found: Found | None = field(repr=False, compare=False, default=None)
    """Where it was found, so that what stands beside it can be read."""
    partial: bool = False
    """Whether it is another project's, with some of its layers only: it is no earlier version of the image."""

    def by_key(self, key: Digest, codecs: Iterable[Codec]) -> ImageLayer | None:
        """The layer with a key, if it is there, and stored in one of these ways."""
        wanted = set(map(str, codecs))
        fitting = (each for each in self.with_key(key) if str(each.layer.codec) in wanted)
        return next((each for each in fitting if each.descriptor.digest not in self.missing), None)

    def with_key(self, key: Digest) -> Iterator[ImageLayer]:
        """The layers with a key, however they are stored, and whether they are still there or not."""
        return (each for each in self.image.layers if each.key == key)

    def by_diff_id(self, diff_id: Digest, codec: Codec) -> ImageLayer | None:
        """The layer with these bytes, stored by a codec of this name, whatever its version, and with a table of files where that has one."""
        return next(
            (
                each
                for each in self.image.layers
                if each.layer.diff_id == diff_id
                and (each.layer.codec.name, each.layer.codec.chunked) == (codec.name, codec.chunked)
                and not each.foreign
            ),
            None,
        )
