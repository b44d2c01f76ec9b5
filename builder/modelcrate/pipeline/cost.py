"""What a build will take, layer by layer, as far as that is known before it is done. Looks for packages in the cache, and reads samples of
files whose codec they decide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from modelcrate.pipeline.plan import CodecChoice, PlannedLayer, choose_codec
from modelcrate.pipeline.reuse import Previous
from modelcrate_layers.content import Digest
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.kinds import FileBased, LayerKind
from modelcrate_layers.tar.codec import of_policy
from modelcrate_layers.tar.tree import Tree
from modelcrate_layers.tar.writer import Tar


@dataclass(frozen=True, slots=True)
class Cost:
    """Bytes to be fetched from package mirrors, read from this disk, put through a codec, and sent to a registry.

    None is what nobody can know yet: what a codec makes of a layer, or whether it will be put through one.
    """

    fetch: int = 0
    read: int = 0
    compress: int | None = 0
    send: int | None = 0
    choice: CodecChoice | None = None
    """How it is or will be stored; None, if the bytes that decide it are not here."""


@runtime_checkable
class PackageLayer(Protocol):
    """A kind of layer that is made of packages, which may have to be fetched."""

    def packages(self) -> Iterable[tuple[Path, int]]:
        """Their places in the cache, and their sizes in bytes."""
        ...


def cost(planned: PlannedLayer, there: frozenset[Digest] | None) -> Cost:
    """`there` are the digests that the registry which is pushed to has, or can mount; None, if nothing is pushed."""
    if planned.known is not None:
        size = planned.known.descriptor.size
        send = 0 if there is None or planned.known.descriptor.digest in there else size
        return Cost(send=send, choice=CodecChoice(planned.known.codec, "as it was made"))
    packages = _packages(planned.kind)
    fetch = sum(size for path, size in packages if not path.exists())
    tree = None if packages else planned.kind.tree()
    plain = Tar(tree.entries).size if tree is not None else None
    read = bytes_to_read(planned.kind)
    choice = _choice(planned, tree)
    if choice is None:
        return Cost(fetch, read, None, 0 if there is None else None)
    raw = choice.codec.name == "none"
    return Cost(fetch, read, 0 if raw else plain, 0 if there is None else plain if raw else None, choice)


def bytes_to_read(kind: LayerKind) -> int:
    """Bytes of packages or files that a layer is made of."""
    if packages := _packages(kind):
        return sum(size for _, size in packages)
    return sum(entry.size for entry in (kind.listed() if isinstance(kind, FileBased) else kind.tree().entries))


def _packages(kind: LayerKind) -> Sequence[tuple[Path, int]]:
    return tuple(kind.packages()) if isinstance(kind, PackageLayer) else ()


def _choice(planned: PlannedLayer, tree: Tree | None) -> CodecChoice | None:
    """How a new layer will be stored; for that its files are looked at. None, where they are still to be fetched."""
    if tree is not None:
        return choose_codec(planned.policy, tree)
    only, *more = of_policy(planned.policy)
    return None if more else CodecChoice(only, "as set")


def cached_bytes(previous: Iterable[Previous], registries: frozenset[str]) -> frozenset[Digest]:
    """The digests that images in these registries name and still have."""
    return frozenset(
        layer.descriptor.digest
        for each in previous
        if each.where.partition("/")[0] in registries
        for layer in each.image.layers
        if layer.descriptor.digest not in each.missing
    )
