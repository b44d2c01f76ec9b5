"""A list of layers of packages that images of a registry have, so that other projects find them. Pure: values and JSON.

The list holds no digest of a layer. It says which image has the layer with a key; the image's own manifest, which is named by its digest,
says the rest. Beside each key stands the blob with the paths that the layer's packages own, because whether packages conflict has to be
known without fetching them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Self

from modelcrate.images.reference import Reference, is_repository
from modelcrate_layers.content import Descriptor, Digest, Platform
from modelcrate_layers.errors import CrateError, IntegrityError, UserError
from modelcrate_layers.frozen import dataclass, field

TAG = "modelcrate-layers"
"""The tag of a list in its repository."""

PATHS = "application/vnd.modelcrate.paths.v1+zstd"
"""The media type of a blob with paths."""

MAX_LAYERS = 1000
"""Layers that a list has; with more, the oldest images are left out."""

MAX_IMAGES = 1000
"""Images that a list has."""

MAX_CHOSEN = 16
"""Images that are asked for the layers of one build."""


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An image, and which layers of it may be taken.

    Attributes:
        repository: Its repository, in the registry of the list.
        digest: The digest of its manifest.
        platform: Its platform.
        layers: The keys of its layers, each with the blob of its paths.
    """

    repository: str
    digest: Digest
    platform: Platform
    layers: Mapping[Digest, Descriptor] = field(hash=False)


@dataclass(frozen=True, slots=True)
class LayerList:
    """Images with their layers, oldest first."""

    images: tuple[ListedImage, ...] = ()

    @property
    def paths(self) -> dict[Digest, Descriptor]:
        """The blobs of paths by the keys of layers."""
        return {key: paths for each in self.images for key, paths in each.layers.items()}

    def holding(self, wanted: Iterable[Digest], platform: Platform) -> tuple[ListedImage, ...]:
        """Returns few images that have, together, as many of the wanted layers as are listed for a platform; the newest first of equals."""
        left, chosen = set(wanted), list[ListedImage]()
        fitting = [each for each in reversed(self.images) if each.platform == platform]
        while fitting and len(chosen) < MAX_CHOSEN:
            best = max(fitting, key=lambda each: len(left & each.layers.keys()))
            if not left & best.layers.keys():
                break
            left -= best.layers.keys()
            chosen.append(best)
        return tuple(chosen)

    def with_images(self, new: Iterable[ListedImage], gone: Collection[Digest] = ()) -> LayerList:
        """Returns the list with more images, each of which has a layer that was not listed for its platform.

        Args:
            new: The images.
            gone: Digests of images that the registry has no more.
        """
        kept = [each for each in self.images if each.digest not in gone]
        for image in new:
            listed = {key for each in kept if each.platform == image.platform for key in each.layers}
            if image.layers.keys() - listed:
                kept.append(image)
        while len(kept) > MAX_IMAGES or len({key for each in kept for key in each.layers}) > MAX_LAYERS:
            kept.pop(0)
        return LayerList(tuple(kept))

    def json(self) -> dict[str, Any]:
        """Returns the list as JSON. Each layer is written once, and images name layers by their places."""
        layers = self.paths
        places = {key: place for place, key in enumerate(layers)}
        return {
            "layers": [[str(key), str(paths.digest), paths.size] for key, paths in layers.items()],
            "images": [
                {
                    "repository": each.repository,
                    "digest": str(each.digest),
                    "platform": str(each.platform),
                    "layers": [places[key] for key in each.layers],
                }
                for each in self.images
            ],
        }

    @classmethod
    def parse(cls, value: object) -> Self:
        """Parses what `json` returned. The value is untrusted.

        Raises:
            IntegrityError: It is malformed, or too long.
        """
        try:
            if not isinstance(value, Mapping):
                raise TypeError("not an object")
            layers, images = value["layers"], value["images"]
            if not isinstance(layers, list) or not isinstance(images, list):
                raise TypeError("not lists")
            if len(layers) > MAX_LAYERS or len(images) > MAX_IMAGES:
                raise IntegrityError(f"a list of more than {MAX_LAYERS} layers or {MAX_IMAGES} images")
            named = [_layer(*each) for each in layers]
            return cls(tuple(_image(each, named) for each in images))
        except (CrateError, KeyError, TypeError, ValueError, AttributeError, IndexError) as fault:
            raise IntegrityError(f"not a list of layers: {fault!s:.200}") from None


def place_of(repository: str) -> Reference:
    """Returns the reference of the list in a repository, which is named by HOST/REPOSITORY and perhaps a tag.

    Raises:
        UserError: It is not a reference, or has a digest.
    """
    reference = Reference.parse(repository)
    if reference.digest is not None:
        raise UserError(
            "a list of layers has no digest: it grows",
            where=repository,
            hint=f"name the repository: {reference.name}",
        )
    return reference.tagged(reference.tag or TAG)


def _layer(key: str, digest: str, size: int) -> tuple[Digest, Descriptor]:
    if type(size) is not int or size < 0:
        raise TypeError("not a size")
    return Digest.parse(key), Descriptor(PATHS, Digest.parse(digest), size)


def _image(value: Mapping[str, Any], named: list[tuple[Digest, Descriptor]]) -> ListedImage:
    repository, places = value["repository"], value["layers"]
    if not isinstance(repository, str) or not is_repository(repository):
        raise TypeError("not a repository")
    if not isinstance(places, list) or len(places) > MAX_LAYERS or any(type(each) is not int for each in places):
        raise TypeError("not places of layers")
    if any(not 0 <= each < len(named) for each in places):
        raise IndexError("a layer that is not listed")
    layers = dict(named[each] for each in places)
    return ListedImage(repository, Digest.parse(value["digest"]), Platform.parse(value["platform"]), layers)
