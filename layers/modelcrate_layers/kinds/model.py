"""Model layers: a registered model's files, where Azure's conventions put them. Large files alone, small ones together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field

from modelcrate_layers.content import Digest
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.kinds import Materials, file_inputs
from modelcrate_layers.tar import recipe
from modelcrate_layers.tar.listing import Listing
from modelcrate_layers.tar.tree import Entry, Kind, Tree, show

ROOT = b"var/azureml-app"
MODELS = ROOT + b"/azureml-models"

ALONE = 64 << 20
"""A file of this size and more has a layer of its own: hashed, sent and pulled beside the others, and kept when another changes."""

TOGETHER = 512 << 20
"""How much of small files goes into one layer."""

MOST = 48
"""How many layers a model may have; runtimes stop at 127 for the whole image. Beyond it, neighbours share one."""


@dataclass(frozen=True, slots=True)
class ModelLayer:
    """Some files of one model."""

    name: str
    files: tuple[Entry, ...] = field(repr=False)
    fingerprint: str

    role = "model"

    @classmethod
    def of(cls, name: str, files: Iterable[Entry]) -> ModelLayer:
        """Returns the layer with these files. Its fingerprint is computed once, for the gates and the plan."""
        held = tuple(files)
        return cls(name, held, recipe.fingerprint(held))

    def key(self) -> Digest | None:
        """Returns None: files are known by their bytes only."""
        return None

    def materials(self) -> Materials:
        """Returns the files that the layer is made of."""
        return Materials(files=self.files, fingerprint=self.fingerprint)

    def tree(self) -> Tree:
        """Returns the entries of the layer."""
        return Tree.of(self.files, [ROOT])

    def inputs(self) -> tuple[str, ...]:
        """Returns the files as a recipe lists them, below the folder of the models."""
        return file_inputs(self.files, MODELS + b"/")


def folder(name: str, version: int) -> bytes:
    """Returns where a model's files are in the image."""
    return b"%b/%b/%d" % (MODELS, name.encode(), version)


def model_layers(name: str, version: int, listing: Listing) -> tuple[ModelLayer, ...]:
    """Returns the layers of a model, by a rule that depends on names and sizes only.

    `listing` has the files below `folder(name, version)`.
    """
    label = f"{name}:{version}"
    groups = list(_within_budget(list(_groups(listing.entries))))
    if len(groups) == 1:
        return (ModelLayer.of(label, groups[0]),)
    return tuple(ModelLayer.of(f"{label} {_title(group, name, version)}", group) for group in groups)


def _groups(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Small things first, then each large file. Folders that hold only large files come along with the small things."""
    entries = sorted(entries, key=lambda entry: entry.path)
    held: list[Entry] = []
    size = 0
    large = []
    for entry in entries:
        length = entry.size
        if length >= ALONE:
            large.append(entry)
            continue
        if size and size + length > TOGETHER and entry.kind is Kind.FILE:
            yield held
            held, size = [], 0
        held.append(entry)
        size += length
    if held and not (large and all(entry.kind is Kind.DIRECTORY and _above(entry, large) for entry in held)):
        yield held
    for entry in large:
        yield [entry]


def _above(folder: Entry, files: Sequence[Entry]) -> bool:
    return any(each.path.startswith(folder.path + b"/") for each in files)


def _within_budget(groups: list[list[Entry]]) -> list[list[Entry]]:
    while len(groups) > MOST:
        sizes = [sum(entry.size for entry in group) for group in groups]
        at = min(range(len(groups) - 1), key=lambda i: sizes[i] + sizes[i + 1])
        groups[at : at + 2] = [groups[at] + groups[at + 1]]
    return groups


def _title(group: Sequence[Entry], name: str, version: int) -> str:
    files = [entry for entry in group if entry.kind is not Kind.DIRECTORY]
    first = show((files or group)[0].path.removeprefix(folder(name, version) + b"/"))
    return first if len(files) <= 1 else f"{first} and {len(files) - 1} more"
