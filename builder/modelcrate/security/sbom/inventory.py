"""The inventory of an image: the contents of all layers, with hashes from the lock. Bills of materials are written from it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from urllib.parse import quote

from modelcrate.config import Config
from modelcrate.images.image import Image, ImageLayer
from modelcrate.images.image_config import EPOCH
from modelcrate.resolve.lock import Pins
from modelcrate.security.sbom.contents import LayerContents, ModelFile
from modelcrate.security.sbom.installed import InstalledPackage
from modelcrate.security.sbom.layer_contents import gather_contents
from modelcrate_layers.content import Descriptor, Digest, canonical_json
from modelcrate_layers.frozen import dataclass, replace

REMEMBERED = 4096
"""Packages whose entries in bills are made once for many images: those of a base, and wheels that many have in common."""


@dataclass(frozen=True, slots=True)
class InventoryItem:
    """A package in the image.

    Attributes:
        part: The package.
        purl: Its package URL.
        sha256: The SHA-256 of its archive, in hex; empty if it is unknown.
        layer: The diff id of its layer.
        filename: The file name of its archive; empty if it is unknown.
    """

    part: InstalledPackage
    purl: str
    sha256: str
    layer: Digest
    filename: str = ""

    def __hash__(self) -> int:
        return hash(self.purl)  # each bill looks all items up, and nearly all purls differ


@dataclass(frozen=True, slots=True)
class Inventory:
    """The contents of one image.

    Attributes:
        name: The image's name.
        subject: Its manifest.
        platform: For instance linux/amd64.
        created: The time of creation in its config.
        items: Its packages.
        files: Files of models and of the project.
        unread: Layers that were not read, so their contents are missing here.
        unlisted: Sentences about files that were read and are too many to be listed.
        base_unlisted: Whether the base has no list of packages that we can read (dpkg's).
    """

    name: str
    subject: Descriptor
    platform: str
    created: datetime
    items: tuple[InventoryItem, ...]
    files: tuple[ModelFile, ...]
    unread: tuple[ImageLayer, ...] = ()
    unlisted: tuple[str, ...] = ()
    base_unlisted: bool = False

    @property
    def serial(self) -> str:
        """A UUID of version 8 (RFC 9562), computed from the image and its contents, so it is deterministic."""
        contents = [[each.purl, each.sha256] for each in self.items] + [[each.path] for each in self.files]
        digits = Digest.of(canonical_json([self.name, str(self.subject.digest), contents])).hex
        return f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-8{digits[17:20]}-{digits[20:32]}"

    @property
    def gaps(self) -> tuple[str, ...]:
        """Sentences about contents that are missing here."""
        unread = [
            f"the layer {each.layer.diff_id} ({each.role}{f': {each.name}' if each.name else ''}) was not read"
            for each in self.unread
        ]
        unlisted = ["the base has no list of packages that can be read; its contents are not covered"]
        return (*unread, *(unlisted if self.base_unlisted else ()))

    @property
    def models(self) -> dict[str, list[ModelFile]]:
        """The files of each model, by `name:version`."""
        found: dict[str, list[ModelFile]] = {}
        for each in self.files:
            if each.model:
                found.setdefault(each.model, []).append(each)
        return found


def inventory(
    name: str,
    image: Image,
    config: Config,
    pins: Pins | None = None,
    known: Mapping[Digest, LayerContents] | None = None,
) -> Inventory:
    """Returns the inventory of an image. A package in a higher layer replaces another version in a lower one.

    Args:
        name: The image's name.
        image: The image.
        config: Names the cache; may fix the time of creation.
        pins: Pinned packages, for the hashes of their archives.
        known: Contents of layers by diff id; layers without contents count as unread. None reads all layers.
    """
    known = gather_contents(image.layers, config) if known is None else known
    parts: dict[tuple[str, str, str], tuple[InstalledPackage, Digest]] = {}
    files: dict[str, ModelFile] = {}
    copyrights: dict[str, str] = {}
    read = [layer for layer in image.layers if layer.layer.diff_id in known]
    for layer in read:
        found = known[layer.layer.diff_id]
        copyrights |= found.copyrights
        for part in found.parts:
            parts[part.kind, part.name, part.architecture] = (part, layer.layer.diff_id)
        files |= {each.path: each for each in found.files}
    distro, hashes = _distro(image), _hashes(pins)
    items = tuple(
        _item(
            part,
            layer,
            _copyright(part, copyrights),
            *hashes.get((part.kind, part.name, part.version), ("", "")),
            distro,
        )
        for _, (part, layer) in sorted(parts.items())
    )
    return Inventory(
        name,
        image.manifest.descriptor,
        str(image.platform),
        _created(image, config),
        items,
        tuple(files[path] for path in sorted(files)),
        tuple(layer for layer in image.layers if layer.layer.diff_id not in known),
        tuple(
            f"{count} more files of the model {model}, which have no facts, are in the layer {layer.layer.diff_id}"
            for layer in read
            for model, count in known[layer.layer.diff_id].unlisted.items()
        ),
        base_unlisted=any(layer.foreign for layer in read) and not any(kind == "deb" for kind, _, _ in parts),
    )


def _created(image: Image, config: Config) -> datetime:
    if config.created is not None:
        return config.created
    try:
        return datetime.fromisoformat(str(image.settings.get("created")))
    except ValueError:
        return EPOCH


def _hashes(pins: Pins | None) -> Mapping[tuple[str, str, str], tuple[str, str]]:
    """Returns SHA-256 and file name of pinned packages, by kind, name and version."""
    if pins is None:
        return {}
    return {(each.kind, each.name, each.version): (each.sha256, each.filename) for each in pins.packages}


def _copyright(part: InstalledPackage, copyrights: Mapping[str, str]) -> str:
    """Returns the licence of a Debian package that its copyright file names."""
    return (copyrights.get(part.name) or copyrights.get(part.source, "")) if part.kind == "deb" else ""


@lru_cache(REMEMBERED)
def _item(
    part: InstalledPackage, layer: Digest, licence: str, sha256: str, filename: str, distro: str
) -> InventoryItem:
    known = replace(part, licence=part.licence or licence)
    return InventoryItem(known, _purl(part, distro), sha256, layer, filename)


def _purl(part: InstalledPackage, distro: str) -> str:
    if part.kind == "wheel":
        return f"pkg:pypi/{part.name}@{quote(part.version, safe='.-_~')}"
    if part.kind == "conda":
        build = f"build={quote(part.source, safe='.-_~')}" + (
            f"&subdir={part.architecture}" if part.architecture else ""
        )
        return f"pkg:conda/{part.name}@{quote(part.version, safe='.-_~')}?{build}"
    words = [f"arch={part.architecture}"] if part.architecture else []
    words += [f"distro={quote(distro, safe='.-_~')}"] if distro else []
    return f"pkg:deb/debian/{quote(part.name, safe='.-_~')}@{quote(part.version, safe='.-_~:')}" + (
        f"?{'&'.join(words)}" if words else ""
    )


def _distro(image: Image) -> str:
    """Returns the Debian release in the name of our own base layer (`debian bookworm, python 3.11`)."""
    names = [layer.name for layer in image.layers if layer.role == "base" and layer.name.startswith("debian ")]
    return names[0].split()[1].rstrip(",") if names else ""
