"""The inventory of an image: what all its layers hold, with the hashes that the lock has. What a bill of materials is written from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from urllib.parse import quote

from modelcrate.config import Config
from modelcrate.images.image import Image, ImageLayer
from modelcrate.images.image_config import EPOCH
from modelcrate.resolve.lock import Pins
from modelcrate.security.sbom.contents import LayerContents, ModelFile
from modelcrate.security.sbom.installed import InstalledPackage
from modelcrate.security.sbom.layer_contents import gather_contents
from modelcrate_layers.content import Descriptor, Digest, canonical_json
from modelcrate_layers.frozen import dataclass


@dataclass(frozen=True, slots=True)
class InventoryItem:
    """A package in the image: what it is, its package URL, the SHA-256 of the file it came in (empty: nobody knows), its layer."""

    part: InstalledPackage
    purl: str
    sha256: str
    layer: Digest
    filename: str = ""


@dataclass(frozen=True, slots=True)
class Inventory:
    """`created` is when the image was made, by its own word."""

    name: str
    subject: Descriptor
    platform: str
    created: datetime
    items: tuple[InventoryItem, ...]
    files: tuple[ModelFile, ...]
    unread: tuple[ImageLayer, ...] = ()
    """Layers that were not looked through: what is in them stands nowhere here."""
    unlisted: tuple[str, ...] = ()
    """What was looked at and is not among `files`, for there is too much of it: in words."""
    strange: bool = False
    """Whether the base keeps no list of its packages that is known here (Debian's)."""

    @property
    def serial(self) -> str:
        """The same for the same image and the same knowledge of it, whoever writes it and when: a UUID of version 8 (RFC 9562)."""
        known = [[each.purl, each.sha256] for each in self.items] + [[each.path] for each in self.files]
        digits = Digest.of(canonical_json([self.name, str(self.subject.digest), known])).hex
        return f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-8{digits[17:20]}-{digits[20:32]}"

    @property
    def gaps(self) -> tuple[str, ...]:
        """What these documents can't tell, in words."""
        unread = [
            f"the layer {each.layer.diff_id} ({each.role}{f': {each.name}' if each.name else ''}) was not looked through"
            for each in self.unread
        ]
        strange = ["the base has no list of packages that is known here; what it brings is not told"]
        return (*unread, *(strange if self.strange else ()))

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
    """What is in all layers, lowest first; a package that a layer has in another version replaces the one below.

    `known` is what is known of the layers; without it, all of them are looked through.
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
    distro = _distro(image)
    items = tuple(_item(part, layer, copyrights, _hashes(pins), distro) for _, (part, layer) in sorted(parts.items()))
    return Inventory(
        name,
        image.manifest.descriptor,
        str(image.platform),
        _created(image, config),
        items,
        tuple(files[path] for path in sorted(files)),
        tuple(layer for layer in image.layers if layer.layer.diff_id not in known),
        tuple(
            f"{count} more files of the model {model}, which say nothing of themselves, are in the layer {layer.layer.diff_id}"
            for layer in read
            for model, count in known[layer.layer.diff_id].unlisted.items()
        ),
        strange=any(layer.foreign for layer in read) and not any(kind == "deb" for kind, _, _ in parts),
    )


def _created(image: Image, config: Config) -> datetime:
    if config.created is not None:
        return config.created
    try:
        return datetime.fromisoformat(str(image.settings.get("created")))
    except ValueError:
        return EPOCH


def _hashes(pins: Pins | None) -> Mapping[tuple[str, str, str], tuple[str, str]]:
    """SHA-256 and file name of what was pinned, by kind, name and version."""
    if pins is None:
        return {}
    return {(each.kind, each.name, each.version): (each.sha256, each.filename) for each in pins.packages}


def _item(
    part: InstalledPackage,
    layer: Digest,
    copyrights: Mapping[str, str],
    hashes: Mapping[tuple[str, str, str], tuple[str, str]],
    distro: str,
) -> InventoryItem:
    if part.kind == "deb":
        part = replace(part, licence=part.licence or copyrights.get(part.name) or copyrights.get(part.source, ""))
    sha256, filename = hashes.get((part.kind, part.name, part.version), ("", ""))
    return InventoryItem(part, _purl(part, distro), sha256, layer, filename)


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
    """The release that our own base layer tells in its name (`debian bookworm, python 3.11`)."""
    names = [layer.name for layer in image.layers if layer.role == "base" and layer.name.startswith("debian ")]
    return names[0].split()[1].rstrip(",") if names else ""
