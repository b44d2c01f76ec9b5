"""What is in a layer: entries, and the tree that they make. No bytes, no clock, no file system.

Paths are bytes, relative, with `/` between the parts, as a tar has them (image-spec layer.md): file names need not be UTF-8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum

from modelcrate_layers.errors import SourceError
from modelcrate_layers.frozen import NamedTuple, dataclass
from modelcrate_layers.tar.sources import Source

MAX_PATH = 4096
"""Linux's PATH_MAX; a longer path could not be unpacked."""

MAX_LINKS = 40
"""How many links are followed on the way to a file, as by Linux (path_resolution(7))."""

_UNCLEAN = frozenset({b"", b".", b".."})

_MAX_ID = 0o7777777
_MODE = 0o1777
"""Permission bits and the sticky bit. Set-user-id and set-group-id have no place in an image that runs as one user."""


class Kind(Enum):
    """What an entry is; the value is the tar type flag (POSIX pax, ustar interchange format)."""

    FILE = b"0"
    HARD_LINK = b"1"
    SYMLINK = b"2"
    DIRECTORY = b"5"


class Entry(NamedTuple):
    """One path of a layer. A named tuple, for layers have ten thousands of them.

    `mode` has permission bits only, `size` is in bytes and 0 for all but files, `link` is the target of a link: for a hard
    link the path of an earlier file of the same tree. There is no time and no owner's name: these are policy (`tar`).
    """

    path: bytes
    kind: Kind
    mode: int
    source: Source | None = None
    link: bytes = b""
    uid: int = 0
    gid: int = 0

    @property
    def size(self) -> int:
        """The size of the file in bytes; 0 for other kinds."""
        return self.source.size if self.source is not None else 0


FILE_MODE, PROGRAM_MODE = 0o664, 0o775
"""The group's rights are the owner's: any user id works, as long as its group is 0 (OpenShift)."""


def file(path: bytes, source: Source, mode: int = FILE_MODE) -> Entry:
    """Returns the entry of a regular file."""
    return Entry(path, Kind.FILE, mode, source)


def directory(path: bytes, mode: int = PROGRAM_MODE) -> Entry:
    """Returns the entry of a folder."""
    return Entry(path, Kind.DIRECTORY, mode)


def symlink(path: bytes, target: bytes) -> Entry:
    """Returns the entry of a symbolic link; `target` may be relative."""
    return Entry(path, Kind.SYMLINK, 0o777, link=target)


def hard_link(path: bytes, target: bytes) -> Entry:
    """Returns the entry of a hard link; `target` is the path of an earlier file of the same tree."""
    return Entry(path, Kind.HARD_LINK, FILE_MODE, link=target)


@dataclass(frozen=True, slots=True)
class Tree:
    """The sorted, closed set of entries of a layer.

    Sorted by path bytes. Closed: the parent of every entry is a directory of the tree, up to the `roots`, the folders that the
    layer owns. What is above a root is not in the tree, so that a layer never replaces a directory, or a symlink to one,
    of the base (`lib -> usr/lib`). A hard link has the mode and the owner of its file: they are one file, and readers differ in
    whose mode counts.
    """

    entries: tuple[Entry, ...]
    roots: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        files: dict[bytes, Entry] = {}
        folders: set[bytes] = set()
        usual: set[tuple[int, int, int]] = set()
        roots = frozenset(self.roots)
        before = b""
        for entry in self.entries:
            path, kind, mode, source, link, uid, gid = entry
            if path <= before:
                raise _fault(path, "stands twice in one layer" if path == before else "is not in order")
            before = path
            parent, _, name = path.rpartition(b"/")
            inside = parent in folders
            _check_path(path, (name,) if inside else path.split(b"/"))  # what is above has been checked already
            if not inside and parent and path not in roots:
                raise _fault(path, "has no folder above it in the layer")
            if kind is Kind.FILE and source is not None and not link and (mode, uid, gid) in usual:
                files[path] = entry
                continue  # nearly all of them
            _check(entry)
            if kind is Kind.FILE:
                files[path] = entry
                usual.add((mode, uid, gid))
            elif kind is Kind.DIRECTORY:
                folders.add(path)
            elif kind is Kind.HARD_LINK:
                _check_hard_link(entry, files.get(link))

    @classmethod
    def of(cls, entries: Iterable[Entry], roots: Iterable[bytes] = ()) -> Tree:
        """Returns a tree of these entries, in any order, with the missing folders between the roots and them added.

        Two equal directories are one; any other path that comes twice is a SourceError. Hard links get their file's mode and owner.
        """
        owned = frozenset(roots)
        known: dict[bytes, Entry] = {}
        linked: list[Entry] = []
        for entry in entries:
            other = known.setdefault(entry.path, entry)
            if other is not entry and not (other == entry and entry.kind is Kind.DIRECTORY):
                raise _fault(entry.path, "comes twice")
            if entry.kind is Kind.HARD_LINK:
                linked.append(entry)
        for entry in linked:
            if (real := known.get(entry.link)) is not None:
                known[entry.path] = entry._replace(mode=real.mode, uid=real.uid, gid=real.gid)
        for path in {path.rpartition(b"/")[0] for path in known if path not in owned} - known.keys():
            while path and path not in known:
                known[path] = directory(path)
                path = b"" if path in owned else path.rpartition(b"/")[0]
        return cls(tuple(known[path] for path in sorted(known)), tuple(sorted(owned)))


def check_paths(entries: Iterable[Entry]) -> None:
    """Raises a SourceError for a path that no layer can have."""
    for entry in entries:
        _check_path(entry.path, entry.path.split(b"/"))


def follow_links(path: str, target_of: Callable[[str], str | None]) -> str:
    """Returns where a path leads, below the root and without a leading slash; nothing where more than MAX_LINKS are on the way.

    Args:
        path: The path.
        target_of: Returns the target of the symbolic link at a path; None where there is none.
    """
    left = path.split("/")[::-1]
    done: list[str] = []
    links = 0
    while left:
        part = left.pop()
        if part in ("", "."):
            continue
        if part == "..":
            del done[-1:]
            continue
        target = target_of("/".join([*done, part]))
        if target is None:
            done.append(part)
            continue
        links += 1
        if links > MAX_LINKS:
            return ""
        if target.startswith("/"):
            done = []
        left += target.split("/")[::-1]
    return "/".join(done)


def show(path: bytes) -> str:
    """Returns a path for people: undecodable bytes and control characters are escaped."""
    text = path.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _check_path(path: bytes, parts: Sequence[bytes]) -> None:
    if not path or len(path) > MAX_PATH or b"\0" in path or not _UNCLEAN.isdisjoint(parts):
        raise _fault(path, "is not a clean relative path")
    if parts[-1].startswith(b".wh."):
        raise _fault(
            path, "would delete a file of the base", "in a layer, names that begin with .wh. are whiteouts; rename it"
        )


def _check(entry: Entry) -> None:
    path = entry.path
    if entry.mode & ~_MODE or not (0 <= entry.uid <= _MAX_ID and 0 <= entry.gid <= _MAX_ID):
        raise _fault(path, f"has a mode or an owner that is not allowed: {entry.mode:o} {entry.uid}:{entry.gid}")
    if (entry.source is not None) is not (entry.kind is Kind.FILE):
        raise _fault(path, "has bytes and is no file, or is a file and has none")
    if entry.kind in (Kind.SYMLINK, Kind.HARD_LINK):
        if not entry.link or b"\0" in entry.link or len(entry.link) > MAX_PATH:
            raise _fault(path, "is a link with a target that is empty, too long, or has a NUL in it")
    elif entry.link:
        raise _fault(path, "has a link target and is no link")


def _check_hard_link(entry: Entry, real: Entry | None) -> None:
    if real is None:
        raise _fault(entry.path, f"is a hard link to {show(entry.link)}, which is no earlier file of the layer")
    if (entry.mode, entry.uid, entry.gid) != (real.mode, real.uid, real.gid):
        raise _fault(entry.path, f"is a hard link to {show(entry.link)} with another mode or owner")


def _fault(path: bytes, what: str, hint: str = "") -> SourceError:
    return SourceError(f"{show(path[:200])} {what}", hint=hint)
