"""Files that several packages of one image own.

pip and uv let the package that they install last have its file. Mostly that breaks the other package without a word, so it is refused
here, unless the project allows it; but nothing imports a `tests/` folder that two packages have put beside their code by mistake.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Literal

from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import NamedTuple
from modelcrate_layers.patterns import compile_later
from modelcrate_layers.tar.sources import ZipMember, sha256
from modelcrate_layers.tar.tree import Entry, Kind, show

OnConflict = Literal["refuse", "last"]
"""The rule for two files with one path: an error, or the last one is used.

Packages count in the order of their layers, those of one layer by name.
"""

ENVIRONMENT = "the environment itself"
"""The owner of files that no package may replace."""

_UNUSED = compile_later(
    rb".*/site-packages/(?:(?:tests?|docs?|examples?|benchmarks?)/.*"
    rb"|(?:readme|licen[cs]e|copying|notice|authors|changes|changelog|history)(?:[._-][^/]*)?(?<!\.py))",
    re.IGNORECASE | re.DOTALL,
)
"""What nothing imports: of these files the last one counts in any case."""


class Owned(NamedTuple):
    """An entry and the package that installs it, by name and version."""

    owner: str
    entry: Entry


class Merged(NamedTuple):
    """What is installed, by path; and how many files of one package are covered by those of another, with one of their paths."""

    files: dict[bytes, Owned]
    covered: dict[tuple[str, str], tuple[int, bytes]]

    def notices(self) -> tuple[str, ...]:
        """Returns a sentence for each pair of packages."""
        return tuple(
            f"{one} and {other} both own /{show(path)}{f' and {count - 1} more files' if count > 1 else ''}: "
            f"taken from {other}, which comes last"
            for (one, other), (count, path) in self.covered.items()
        )


def merge(installed: Iterable[Owned], on_conflict: OnConflict = "refuse") -> Merged:
    """Returns what is installed. The same bytes from two packages are one file, executable if it is in one of them.

    Raises:
        UserError: Two packages own one path with different bytes, and that is refused.
    """
    found: dict[bytes, Owned] = {}
    counts: Counter[tuple[str, str]] = Counter()
    paths: dict[tuple[str, str], bytes] = {}
    for each in installed:
        path = each.entry.path
        first = found.setdefault(path, each)
        if first is each:
            continue
        if _same(first.entry, each.entry):
            found[path] = Owned(first.owner, first.entry._replace(mode=first.entry.mode | each.entry.mode))
            continue
        allowed = on_conflict == "last" or _UNUSED.fullmatch(path)
        if not allowed or ENVIRONMENT in (first.owner, each.owner) or first.owner == each.owner:
            raise _conflict(path, first.owner, each.owner, "and not with the same bytes")
        found[path], pair = each, (first.owner, each.owner)
        counts[pair] += 1
        paths.setdefault(pair, path)
    return Merged(found, {pair: (count, paths[pair]) for pair, count in counts.items()})


def check(installed: Iterable[Owned], on_conflict: OnConflict = "refuse") -> tuple[str, ...]:
    """Checks all packages of an image, whatever layers they are in: a layer would silently cover a file of another.

    Returns:
        What a user should know, a sentence each.

    Raises:
        UserError: Two packages own one path with different bytes, and that is refused; or a file of the one is a folder of the other.
    """
    merged = merge(installed, on_conflict)
    for path, (owner, _) in merged.files.items():
        parent = path.rpartition(b"/")[0]
        while parent:
            above = merged.files.get(parent)
            if above is not None and above.entry.kind is not Kind.DIRECTORY:
                raise _conflict(parent, above.owner, owner, "a file of the one is a folder of the other")
            parent = parent.rpartition(b"/")[0]
    return merged.notices()


class LayerPaths(NamedTuple):
    """The paths of a layer that is not here, those of directories with a slash behind them.

    Layers with the same number in `together` were checked with each other before.
    """

    together: int
    paths: frozenset[bytes]


def owned_paths(installed: Iterable[Owned]) -> frozenset[bytes]:
    """Returns the paths of what is installed, those of directories with a slash behind them."""
    return frozenset(each.path + b"/" if each.kind is Kind.DIRECTORY else each.path for _, each in installed)


def are_apart(installed: Iterable[Owned], others: Iterable[LayerPaths]) -> bool:
    """Returns whether packages and layers of others surely have no conflict: no file is in two of them, or a folder in another.

    Where it returns False, the bytes decide: equal files are no conflict.
    """
    groups: dict[int, frozenset[bytes]] = {}
    for each in others:
        groups[each.together] = groups.get(each.together, frozenset()) | each.paths
    files, folders = set[bytes](), set[bytes]()
    for paths in (owned_paths(installed), *groups.values()):
        own = {path for path in paths if not path.endswith(b"/")}
        above = {path.rstrip(b"/") for path in paths if path.endswith(b"/")}
        for path in paths:
            parent = path.rstrip(b"/").rpartition(b"/")[0]
            while parent and parent not in above:
                above.add(parent)
                parent = parent.rpartition(b"/")[0]
        if own & files or own & folders or above & files:
            return False
        files |= own
        folders |= above
    return True


def _same(one: Entry, other: Entry) -> bool:
    a, b = one.source, other.source
    if a is None or b is None:
        return one == other
    if a.size != b.size or (isinstance(a, ZipMember) and isinstance(b, ZipMember) and a.crc != b.crc):
        return False
    return sha256(a) == sha256(b)


def _conflict(path: bytes, one: str, other: str, why: str) -> UserError:
    return UserError(
        f"{one} and {other} both own /{show(path)}" if one != other else f"{one} has /{show(path)} twice",
        why=why,
        hint="leave one of the two out; or let the last one's file count, as pip does: dependencies: {on-conflict: last}",
    )
