"""Images with plain tars as their layers. A manifest does not tell how long the tar of a compressed layer is: it is measured, or guessed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, runtime_checkable

from modelcrate.images.image import Image, ImageLayer, replaced
from modelcrate_layers.content import Blob, Descriptor, Digest, MediaType, verified
from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.read_ahead import read_ahead
from modelcrate_layers.tar import codec as codecs
from modelcrate_layers.tar.recipe import Layer, RecipeBlob

TarSize = Callable[[ImageLayer], int]
"""Returns the length of a layer's tar in bytes."""

_TOLD = 4
"""The bytes at the end of a gzip member that tell what it unpacks to, modulo 2^32 (RFC 1952, 2.3.1)."""

_EXPANSION = 100
"""One part in so many is what gzip adds to bytes that it can't pack, at most."""

_RATIO = 20
"""How many bytes one stored byte stands for, at most, where the end of a layer is believed: one that tells more has several members."""


@runtime_checkable
class RemoteBlob(Protocol):
    """A blob that comes from elsewhere. Its end may come from anyone who has it, and is not verified."""

    def end(self, size: int) -> bytes:
        """Returns the last bytes."""
        ...


@dataclass(frozen=True, slots=True)
class UnpackedTar:
    """The tar inside a compressed layer, unpacked anew at each iteration."""

    stored: Blob

    def __iter__(self) -> Iterator[bytes]:
        return codecs.decode(self.stored.chunks())


@dataclass(frozen=True, slots=True)
class PlainBlob:
    """The tar of a layer as a blob. Its digest is the diff id. It is made in one thread, and verified and written in another."""

    tar: Iterable[bytes]
    descriptor: Descriptor

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """Yields the tar from an offset on.

        Raises:
            IntegrityError: The tar has another digest or size.
        """
        return codecs.after(verified(read_ahead(self.tar), self.descriptor), start)


def plain_size(layer: ImageLayer) -> int:
    """Returns the length of a layer's tar in bytes: from its annotation, else by unpacking it once."""
    if layer.layer.tar_size >= 0:
        return layer.layer.tar_size
    return sum(map(len, UnpackedTar(layer.blob)))


class GuessedSizes:
    """The lengths of tars, as far as they can be told without unpacking. It is no value: it remembers what it said.

    Who writes such a tar finds out whether the guess was right.
    """

    def __init__(self) -> None:
        self._known: dict[Digest, int] = {}
        self._guessed: dict[Digest, ImageLayer] = {}

    def __call__(self, layer: ImageLayer) -> int:
        """Returns the length of a layer's tar in bytes; always the same one, until `correct`."""
        if layer.layer.tar_size >= 0:
            return layer.layer.tar_size
        digest = layer.layer.descriptor.digest
        if digest not in self._known:
            told = _told_size(layer)
            if told is not None:
                self._guessed[digest] = layer
            self._known[digest] = plain_size(layer) if told is None else told
        return self._known[digest]

    def correct(self) -> bool:
        """Unpacks what was guessed, and returns whether a guess was wrong.

        Raises:
            CrateError: A layer can't be unpacked.
        """
        measured = {digest: plain_size(layer) for digest, layer in self._guessed.items()}
        wrong = any(self._known[digest] != size for digest, size in measured.items())
        self._guessed.clear()
        self._known |= measured
        return wrong


def replace_layers(image: Image, sizes: TarSize = plain_size) -> Image:
    """Returns the image with every layer as a plain tar: config and diff ids are the same, the manifest is another."""
    return replaced(image, tuple(_uncompress(layer, sizes) for layer in image.layers))


def _uncompress(layer: ImageLayer, sizes: TarSize) -> ImageLayer:
    """Returns a layer as a plain tar. A recipe makes the tar directly; a stored layer is decompressed while it is read."""
    if layer.layer.descriptor.digest == layer.layer.diff_id:
        return layer
    size = sizes(layer)
    plain = Layer(Descriptor(MediaType.LAYER, layer.layer.diff_id, size), layer.layer.diff_id, size, codecs.NONE)
    tar = layer.blob.recipe.tar if isinstance(layer.blob, RecipeBlob) else UnpackedTar(layer.blob)
    blob = PlainBlob(tar, plain.descriptor)
    return ImageLayer(layer.role, layer.name, plain, blob, layer.origin, layer.why, layer.key)


def _told_size(layer: ImageLayer) -> int | None:
    """Returns the least length that the end of a gzip layer allows; None where it tells nothing that can be."""
    stored, blob = layer.layer.descriptor.size, layer.blob
    if layer.layer.codec.name != "gzip" or stored <= _TOLD:
        return None
    try:
        end = blob.end(_TOLD) if isinstance(blob, RemoteBlob) else b"".join(blob.chunks(stored - _TOLD))
    except CrateError:
        return None  # who reads all of it has more patience, and says what is wrong
    told = int.from_bytes(end, "little")
    size = told + max(0, -(-(stored - stored // _EXPANSION - told) >> 32) << 32)
    return size if size <= _RATIO * stored else None
