"""Where the bytes of a layer go while they are measured: nowhere, into a store, or into an output that takes them as they come."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from modelcrate_layers.content import Blob
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.store import Layout
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
