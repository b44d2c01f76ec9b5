"""Where the bytes of a layer go while they are measured: nowhere, into a store, or into an output that takes them as they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, runtime_checkable

from modelcrate.images.image import Deliverable
from modelcrate_layers.content import Blob, Digest
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.store import Layout
from modelcrate_layers.tar.codec import Codec
from modelcrate_layers.tar.recipe import Layer, Measuring


@runtime_checkable
class Sink(Protocol):
    """Takes the bytes of a layer whose digest is known only at their end."""

    def take(self, measuring: Measuring) -> Layer:
        """Reads `measuring` to its end and returns the measured layer."""
        ...


@dataclass(frozen=True, slots=True)
class Discard:
    """Measures a layer and keeps nothing of it."""

    def take(self, measuring: Measuring) -> Layer:
        """Reads `measuring` to its end and returns the measured layer."""
        for _ in measuring:
            pass
        return measuring.layer


@dataclass(frozen=True, slots=True)
class StoreSink:
    """Keeps a layer in a store."""

    store: Layout

    def take(self, measuring: Measuring) -> Layer:
        """Writes the bytes into the store and returns the measured layer."""
        self.store.take(measuring, lambda: measuring.descriptor)
        return measuring.layer


@runtime_checkable
class EarlyUpload(Protocol):
    """An output that begins to take blobs before it is given their image."""

    def begin(self, blob: Blob) -> None:
        """Begins to send a blob, and returns at once."""
        ...


class Place(Protocol):
    """Room for the tar of one layer in an output, where it is written while it passes on its way into a codec."""

    def take(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yields the chunks, and writes each of them."""
        ...

    def name(self, digest: Digest) -> None:
        """Says which digest all that has passed has."""
        ...


@runtime_checkable
class PlacingOutput(Protocol):
    """An output that has room for the tars of layers before these are made: their lengths decide where they are."""

    def takes(self, codec: Codec) -> bool:
        """Returns whether there can be room for the tar of a layer that has a codec in its image."""
        ...

    def reserve(self, expected: Deliverable) -> Mapping[Digest, Place]:
        """Returns the places of tars by their diff ids.

        Args:
            expected: The image as it will be, but for digests: where a layer is not made yet, others of the same length stand for them. An
                image that turns out to be another is delivered all the same, and tars that were written are written again.

        Raises:
            UserError: The output can't have such an image.
        """
        ...
