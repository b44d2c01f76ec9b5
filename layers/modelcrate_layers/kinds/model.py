"""Model layers: a model's files, where Azure's conventions put them, or KServe's, or both. Large files alone, small ones together.

Azure's scripts look below `/var/azureml-app/azureml-models/NAME/VERSION`. KServe's modelcars and ModelPack's readers look below `/models`, and
KServe's fetcher reads plain files there: no symbolic link that leads out, no hard link. So a layer for both has the files below `/models`, and
hard links to them where Azure's scripts look. A registry keeps whole layers, so only an image of such layers shares them with a modelcar.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from modelcrate_layers.content import Digest
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.kinds import Materials, file_inputs
from modelcrate_layers.tar import recipe
from modelcrate_layers.tar.listing import Listing
from modelcrate_layers.tar.tree import Entry, Kind, Tree, hard_link, show

ROOT = b"var/azureml-app"
MODELS = ROOT + b"/azureml-models"

CAR = b"models"
"""The folder of a modelcar with the model: in it, and not in a folder of its own, are the files of a folder that is a model."""

ALONE = 64 << 20
"""A file of this size and more has a layer of its own: hashed, sent and pulled beside the others, and kept when another changes."""

TOGETHER = 512 << 20
"""How much of small files goes into one layer."""

MOST = 48
"""How many layers a model may have; runtimes stop at 127 for the whole image. Beyond it, neighbours share one."""


@dataclass(frozen=True, slots=True)
class Move:
    """Another place for the files below a folder: `home` is taken off their paths, and `under` comes in front."""

    home: bytes
    under: bytes

    def path(self, path: bytes) -> bytes:
        """Returns the other path of an entry."""
        return self.under + path.removeprefix(self.home)

    def entry(self, entry: Entry) -> Entry:
        """Returns an entry at its other path."""
        return entry._replace(path=self.path(entry.path))


@dataclass(frozen=True, slots=True)
class ModelLayer:
    """Some files of one model.

    Attributes:
        files: The files as they were listed, below `folder(NAME, VERSION)`.
        fingerprint: Stands for the state of the files and for their places.
        car: Where they are in a modelcar; None for a layer that has Azure's places alone.
        azure: Whether they are at Azure's places.
    """

    name: str
    files: tuple[Entry, ...] = field(repr=False)
    fingerprint: str
    car: Move | None = None
    azure: bool = True

    role = "model"

    @classmethod
    def of(cls, name: str, files: Iterable[Entry], car: Move | None = None, *, azure: bool = True) -> ModelLayer:
        """Returns the layer with these files. Its fingerprint is computed once, for the gates and the plan."""
        held = tuple(files)
        return cls(name, held, recipe.fingerprint(_placed(held, car, azure=azure)), car, azure)

    def key(self) -> Digest | None:
        """Returns None: files are known by their bytes only."""
        return None

    def materials(self) -> Materials:
        """Returns the files that the layer is made of."""
        return Materials(files=self.files, fingerprint=self.fingerprint)

    def tree(self) -> Tree:
        """Returns the entries of the layer."""
        roots = [*([ROOT] if self.azure else []), *([CAR] if self.car is not None else [])]
        return Tree.of(_placed(self.files, self.car, azure=self.azure), roots)

    def inputs(self) -> tuple[str, ...]:
        """Returns the files as a recipe lists them, below the folder of the models."""
        return file_inputs(self.files, MODELS + b"/")


def folder(name: str, version: int) -> bytes:
    """Returns where a model's files are in the image."""
    return b"%b/%b/%d" % (MODELS, name.encode(), version)


def move_into_car(name: str, version: int, entries: Iterable[Entry], under: bytes = CAR) -> Move:
    """Returns where a model's files are in a modelcar: a file below `under`, and what a folder holds there, too.

    Args:
        name: The model's name.
        version: Its version.
        entries: Its entries, below `folder(name, version)`.
        under: `CAR`, or where there are several models, a folder in it.
    """
    home = folder(name, version)
    kinds = {entry.path: entry.kind for entry in entries}
    tops = {path[len(home) + 1 :].partition(b"/")[0] for path in kinds}
    if len(tops) == 1 and kinds.get(top := home + b"/" + next(iter(tops))) is Kind.DIRECTORY:
        return Move(top, under)
    return Move(home, under)


def model_layers(
    name: str, version: int, listing: Listing, car: bytes = b"", *, azure: bool = True
) -> tuple[ModelLayer, ...]:
    """Returns the layers of a model, by a rule that depends on names and sizes only.

    Args:
        name: The model's name.
        version: Its version.
        listing: The files below `folder(name, version)`.
        car: The folder of a modelcar that has them as well; empty for none.
        azure: Whether they are at Azure's places; False for a modelcar alone.
    """
    label = f"{name}:{version}"
    move = move_into_car(name, version, listing.entries, car) if car else None
    groups = list(_within_budget(list(_groups(listing.entries))))
    if len(groups) == 1:
        return (ModelLayer.of(label, groups[0], move, azure=azure),)
    return tuple(ModelLayer.of(f"{label} {_title(group, name, version)}", group, move, azure=azure) for group in groups)


def _placed(files: Sequence[Entry], car: Move | None, *, azure: bool) -> Iterator[Entry]:
    """Yields the entries at their places. A file at both is below `models`, and a hard link at Azure's: it comes later in a tar."""
    for entry in files:
        moved = car.entry(entry) if car is not None else None
        if moved is not None:
            yield moved
        if azure and moved is not None and entry.kind is Kind.FILE:
            yield hard_link(entry.path, moved.path)
        elif azure:
            yield entry


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
