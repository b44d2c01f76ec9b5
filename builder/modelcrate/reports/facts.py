"""The values of a page: what is drawn and told, before it is HTML."""

from __future__ import annotations

from typing import Literal

from modelcrate_layers.frozen import dataclass, field

Kind = Literal["image", "platform", "layer", "package", "folder", "file", "tensor", "group", "more", "rest"]
"""What a box of the map is. `group` are tensors whose names begin alike, `more` are items that are not shown one by one, `rest` is what
a tar has besides files."""


@dataclass(frozen=True, slots=True)
class Node:
    """A box of the map.

    Attributes:
        name: Its name.
        kind: What it is.
        size: Bytes, unpacked; the sum of the children's, if it has any.
        children: The boxes in it.
        stored: Bytes as stored, where that is known exactly: of layers. Inside a layer each byte counts the same.
        role: The role of a layer.
        state: In a comparison, of a file: added, removed or changed.
        what: Type and shape of a tensor.
    """

    name: str
    kind: Kind
    size: int
    children: tuple[Node, ...] = field(default=(), repr=False)
    stored: int | None = None
    role: str = ""
    state: str = ""
    what: str = ""


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """A layer, and what decided it.

    Attributes:
        platform: Its image's platform.
        role: Its role.
        name: What it is, in a few words.
        stored: Bytes in the registry; 0 where it is gone.
        unpacked: Bytes in a container; None where nobody has counted them.
        before: Stored bytes of its counterpart in the earlier image; None without one.
        state: same, changed, new or gone, compared with an earlier image; else empty.
        cause: Which inputs made the difference, or why the build made or took it.
        inputs: What it was made of.
        codec: How it is stored.
        digest: The digest of what is stored.
        key: The digest of the inputs that decide it; empty where it has none.
        exact: Whether the sizes of its files are exact as stored, too: nothing in it is compressed.
        read: Whether its files are known here.
    """

    platform: str
    role: str
    name: str
    stored: int
    unpacked: int | None
    before: int | None = None
    state: str = ""
    cause: str = ""
    inputs: tuple[str, ...] = ()
    codec: str = ""
    digest: str = ""
    key: str = ""
    exact: bool = False
    read: bool = True


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """An installed package. `size` and `added` are bytes, unpacked: its own, and what would vanish without it."""

    kind: str
    name: str
    version: str
    licence: str
    size: int
    added: int
    vanishes_with: str = ""


@dataclass(frozen=True, slots=True)
class ModelFileFacts:
    """A file of a model: its format, its size in bytes, what its header says, the verdict on its pickles, and its licence."""

    path: str
    model: str
    format: str
    size: int
    says: str
    verdict: str
    licence: str


@dataclass(frozen=True, slots=True)
class BesideFacts:
    """An artifact beside the image: what it is, and what it says, in words."""

    what: str
    says: str


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """The facts of a page about an image.

    Attributes:
        title: The image's name.
        digest: The digest of its manifest or index.
        about: Facts in words: platforms, command, user.
        map: The map.
        keepers: For each platform: which package vanishes with which, by `name version`.
        layers: All layers.
        packages: All packages.
        models: The files of models.
        beside: The artifacts beside the image; None where they were not looked for.
        files: The number of files.
        hidden: Bytes of files that a higher layer replaces or removes.
        notes: Sentences about what is missing here.
    """

    title: str
    digest: str
    about: tuple[tuple[str, str], ...]
    map: Node
    keepers: tuple[dict[str, str], ...] = field(hash=False)
    layers: tuple[LayerFacts, ...]
    packages: tuple[PackageFacts, ...]
    models: tuple[ModelFileFacts, ...]
    beside: tuple[BesideFacts, ...] | None
    files: int
    hidden: int = 0
    notes: tuple[str, ...] = ()
