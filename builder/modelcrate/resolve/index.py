"""The index that wheels come from: a value, made by `index_settings.py` of what the project and its files name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from modelcrate_layers.frozen import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Index:
    """Where wheels come from. With nothing named, uv's default index; with only a wheelhouse, that folder and nothing else.

    Attributes:
        url: The index, or NAME=URL, where uv looks up credentials by name.
        extra: More indexes, searched before it.
        find_links: Folders, or URLs of pages with links to wheels.
        direct: URLs of single wheels, by the package's normalised name.
        torch: The builds of PyTorch that are wanted, by uv's name.
        known: More indexes for exact versions with hashes, which may come from anywhere.
        merged: All indexes count as one, as pip has it; else the first that has a package is the one for all its versions, so that
            a private package's name can't be offered elsewhere.
        source: What named the index, for messages.
    """

    url: str = field(default="", repr=False)
    extra: tuple[str, ...] = field(default=(), repr=False)
    wheelhouse: Path | None = None
    find_links: tuple[str, ...] = field(default=(), repr=False)
    no_index: bool = False
    direct: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    torch: str = ""
    prereleases: bool = False
    known: tuple[str, ...] = field(default=(), repr=False)
    merged: bool = False
    source: str = ""

    @property
    def stands_alone(self) -> bool:
        """Whether wheels come from the wheelhouse and from no index."""
        return self.wheelhouse is not None and not (self.url or self.extra)

    @property
    def is_one_folder(self) -> bool:
        """Whether wheels come from the wheelhouse and from nowhere else."""
        return self.stands_alone and not (self.find_links or self.direct or self.torch)


def for_exact_versions(index: Index) -> Index:
    """Returns an index for exact versions with hashes: any index may have them. A wheelhouse that stands alone still does."""
    if index.no_index or not index.known or index.stands_alone:
        return index
    return replace(index, extra=(*index.extra, *index.known), merged=True)
