"""The cost of a build, layer by layer, as far as it is known before the build.

It is found from the packages in the cache and from samples of the files whose codec they decide.
"""

from __future__ import annotations

from collections.abc import Iterable

from modelcrate.images.previous import Previous
from modelcrate.pipeline.plan import CodecChoice, PlannedLayer, choose_codec, settled_codec
from modelcrate_layers.content import Digest
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.tar.sources import UnfetchedFile
from modelcrate_layers.tar.tree import Tree
from modelcrate_layers.tar.writer import Tar


@dataclass(frozen=True, slots=True)
class Cost:
    """Bytes to fetch from package mirrors, to read from this disk, to compress, and to send to a registry.

    None is not known yet: the compressed size of a layer, or whether it will be compressed.

    Attributes:
        size: The bytes of the layer as it is stored. Of one that is still to be packed: those of its packages as an index has them, or
            of its files.
        exact: Whether `size` is known and not estimated.
    """

    size: int
    exact: bool
    fetch: int = 0
    read: int = 0
    compress: int | None = 0
    send: int | None = 0
    choice: CodecChoice | None = None
    """How it is or will be stored; None, if the bytes that decide it are not here."""


def cost(planned: PlannedLayer, there: frozenset[Digest] | None) -> Cost:
    """`there` are the digests that the registry which is pushed to has, or can mount; None, if nothing is pushed."""
    if planned.known is not None:
        size = planned.known.descriptor.size
        send = 0 if there is None or planned.known.descriptor.digest in there else size
        return Cost(size, True, send=send, choice=CodecChoice(planned.known.codec, "as it was made"))
    materials = planned.kind.materials()
    fetch = sum(each.size for each in materials.missing()) // materials.parts
    fetch += sum(each.size for each in materials.files if isinstance(each.source, UnfetchedFile))
    tree = None if materials.packages else planned.kind.tree()
    plain = Tar(tree.entries).size if tree is not None else None
    read = materials.size if tree is None else sum(entry.size for entry in tree.entries)
    choice = _choice(planned, tree)
    if choice is None:
        return Cost(materials.size, False, fetch, read, None, 0 if there is None else None)
    raw = choice.codec.name == "none"
    size = materials.size if plain is None else plain
    compress = plain if choice.codec.level else 0
    will_send = plain if raw else None
    return Cost(size, raw and plain is not None, fetch, read, compress, 0 if there is None else will_send, choice)


def _choice(planned: PlannedLayer, tree: Tree | None) -> CodecChoice | None:
    """How a new layer will be stored; for that its files are looked at. None, where they are still to be fetched."""
    materials = planned.kind.materials()
    if tree is None or any(isinstance(entry.source, UnfetchedFile) for entry in materials.files):
        return settled_codec(planned.policy, deflated=materials.deflated)
    return choose_codec(planned.policy, tree, deflated=materials.deflated)


def cached_bytes(previous: Iterable[Previous], registries: frozenset[str]) -> frozenset[Digest]:
    """The digests that images in these registries name and still have."""
    return frozenset(
        layer.descriptor.digest
        for each in previous
        if each.where.partition("/")[0] in registries
        for layer in each.image.layers
        if layer.descriptor.digest not in each.missing
    )
