"""The facts of a page about an image, from the image and what was read of its layers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from modelcrate.config import Config
from modelcrate.images.artifact import Artifact
from modelcrate.images.image import Deliverable, Image
from modelcrate.reports.beside import list_beside
from modelcrate.reports.contents_tree import Owner, find_owners, label, layer_node, short
from modelcrate.reports.facts import ImageFacts, LayerFacts, ModelFileFacts, Node, PackageFacts
from modelcrate.reports.gathering import Gathered
from modelcrate.reports.layer_facts import layer_facts
from modelcrate.reports.listing import Listing
from modelcrate.reports.requirements import MAX_PACKAGES, keepers
from modelcrate.security.sbom.contents import ModelFile
from modelcrate.security.sbom.inventory import Inventory, inventory


def image_facts(
    name: str,
    found: Deliverable,
    gathered: Gathered,
    config: Config,
    *,
    artifacts: Iterable[Artifact] | None = None,
    earlier: Mapping[str, Image] | None = None,
    reasons: bool = False,
) -> ImageFacts:
    """Returns the facts of an image or of all images of an index.

    Args:
        name: Its name, where it has no title of its own.
        found: The image or index.
        gathered: What was read of its layers.
        config: The configuration.
        artifacts: The artifacts beside it; None if they were not looked for.
        earlier: Images to compare with, by platform.
        reasons: Whether the layers say why a build made or took them.
    """
    images = found.images
    parts = [_OneImage.of(each, gathered, config, name) for each in images]
    nodes = tuple(each.node(each.image.label) for each in parts)
    title = next((text for each in images if (text := each.title)), name)
    inner = nodes if len(nodes) > 1 else tuple(layer for each in nodes for layer in each.children)
    top = Node(short(title), "image", sum(each.size for each in nodes), inner)
    subjects = [found.digest, *(each.digest for each in images)]
    return ImageFacts(
        title,
        str(found.digest),
        tuple(_about(images)),
        top,
        tuple(each.kept for each in parts),
        tuple(line for each in parts for line in each.layers((earlier or {}).get(each.image.label), reasons)),
        tuple({(row.kind, row.name, row.version): row for each in parts for row in each.packages()}.values()),
        tuple({row.path: row for each in parts for row in each.models()}.values()),
        None if artifacts is None else list_beside(artifacts, subjects),
        len({path for each in parts for listing in each.listings for path, _ in listing.files})
        + sum(listing.more[0] for each in parts for listing in each.listings),
        sum(_hidden(each.listings) for each in parts),
        tuple(dict.fromkeys(note for each in parts for note in each.notes())),
    )


class _OneImage:
    """One image with what was found out about it on the way. Not a value: it is used up by `image_facts`."""

    def __init__(self, image: Image, listings: dict[Any, Listing], bill: Inventory, owner: Owner) -> None:
        self.image, self.by_diff_id, self.bill, self.owner = image, listings, bill, owner
        self.listings = [listings[each.layer.diff_id] for each in image.layers if each.layer.diff_id in listings]
        kept = keepers(owner.packages, image.platform) if len(owner.packages) <= MAX_PACKAGES else {}
        self.kept = {label(owner.packages[one]): label(owner.packages[other]) for one, other in kept.items()}
        self.sizes: Counter[str] = Counter()
        for listing in self.listings:
            for path, size in listing.files:
                self.sizes[owner.of(path)] += size

    @classmethod
    def of(cls, image: Image, gathered: Gathered, config: Config, name: str) -> _OneImage:
        listings = gathered.listings
        here = [listings[each.layer.diff_id] for each in image.layers if each.layer.diff_id in listings]
        bill = inventory(image.title or name, image, config, None, gathered.contents)
        return cls(image, listings, bill, find_owners(here))

    def node(self, name: str) -> Node:
        children = tuple(
            layer_node(each, self.by_diff_id.get(each.layer.diff_id), self.owner) for each in self.image.layers
        )
        return Node(name, "platform", sum(each.size for each in children), children)

    def layers(self, earlier: Image | None, reasons: bool) -> tuple[LayerFacts, ...]:
        return layer_facts(earlier, self.image, self.by_diff_id, reasons=reasons)

    def packages(self) -> Iterator[PackageFacts]:
        added = Counter(self.sizes)
        for one in self.kept:
            other, seen = self.kept.get(one), 0
            while other is not None and seen < MAX_PACKAGES:
                added[other] += self.sizes[one]
                other, seen = self.kept.get(other), seen + 1
        rows = [
            PackageFacts(
                each.part.kind,
                each.part.name,
                each.part.version,
                each.part.licence,
                self.sizes[called := f"{each.part.name} {each.part.version}"],
                added[called],
                self.kept.get(called, ""),
            )
            for each in self.bill.items
        ]
        yield from sorted(rows, key=lambda each: (-each.added, each.name, each.version))

    def models(self) -> Iterator[ModelFileFacts]:
        for each in self.bill.files:
            if each.model and each.format != "licence":
                yield ModelFileFacts(
                    each.path, each.model, each.format, each.size, _says(each), each.verdict, each.licence
                )

    def notes(self) -> Iterator[str]:
        yield from self.bill.gaps
        yield from self.bill.unlisted
        for listing in self.listings:
            if listing.more[0]:
                yield f"{listing.more[0]} files of a layer are too many to be listed one by one, and are shown as one"
        if len(self.owner.packages) > MAX_PACKAGES:
            yield f"what would vanish without a package is not known: there are more than {MAX_PACKAGES}"


def _hidden(listings: Sequence[Listing]) -> int:
    """Returns the bytes of files that layers above replace or remove (image-spec layer.md, "Whiteouts")."""
    covered: set[str] = set()
    gone: set[str] = set()
    size = 0
    for listing in reversed(listings):
        for path, count in listing.files:
            if path in covered or (gone and any(above in gone for above in _above(path))):
                size += count
        for path, _ in listing.files:
            folder, _, name = path.rpartition("/")
            if name == ".wh..wh..opq":
                gone.add(folder)
            elif name.startswith(".wh."):
                gone.add(f"{folder}/{name[4:]}".lstrip("/"))
            covered.add(path)
    return size


def _above(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition("/")[0]


def _says(file: ModelFile) -> str:
    """Returns the facts of a model file's header in a few words."""
    facts = file.facts
    words = []
    for name in ("parameters", "tensors"):
        if isinstance(facts.get(name), int):
            words.append(f"{facts[name]:,} {name}".replace(",", " "))
    kinds = facts.get("dtypes")
    if isinstance(kinds, dict):
        words.append(", ".join(f"{count} {kind}" for kind, count in list(kinds.items())[:4]))
    for name in ("framework", "class", "producer", "ir_version", "opset"):
        if isinstance(facts.get(name), str | int):
            words.append(f"{name.replace('_', ' ')} {facts[name]}")
    return "; ".join(words)[:300]


def _about(images: Sequence[Image]) -> Iterator[tuple[str, str]]:
    yield "platform", ", ".join(each.label for each in images)
    for each in images[:1]:
        settings = each.settings.get("config") or {}
        command = [*(settings.get("Entrypoint") or []), *(settings.get("Cmd") or [])]
        yield "starts", " ".join(map(str, command)) or "nothing"
        yield "user", str(settings.get("User") or "root")
        yield "ports", " ".join(map(str, settings.get("ExposedPorts") or ())) or "none"
