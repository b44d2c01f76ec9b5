"""The lists of packages (Packages files, deb-control(5)) of several suites as one index. A stanza is parsed when it is looked up.

A list has 45 MB and some 64,000 stanzas, of which a base needs forty: of the others only the names are found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from modelcrate.resolve.debian.pinned import MAX_DEB, NAME, POOL
from modelcrate.resolve.debian.versions import Key, version_key
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.packages.deb import fields
from modelcrate_layers.patterns import compile_later

MAX_LIST = 256 << 20
"""Bytes of an unpacked list; Debian's largest has about 50 MB."""

_SHA256 = compile_later(r"[0-9a-f]{64}")
_ATOM = compile_later(r"([a-z0-9][a-z0-9+.-]*)(?::[a-z0-9-]+)?(?:\s*\(\s*(<<|<=|=|>=|>>)\s*(\S+?)\s*\))?")


Text = bytes | bytearray
"""An unpacked list; never changed."""


@dataclass(frozen=True, slots=True)
class Atom:
    """One alternative of a dependency: a name, and perhaps a relation to a version."""

    name: str
    relation: str = ""
    version: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.relation} {self.version})" if self.relation else self.name


Dependency = tuple[Atom, ...]
"""Alternatives, in the order of preference."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package of a suite. `pool` is its path below the archive."""

    name: str
    version: str
    architecture: str
    archive: str
    pool: str
    sha256: str
    size: int
    needs: tuple[Dependency, ...]
    provides: tuple[Atom, ...]

    @property
    def key(self) -> Key:
        """The version as a value that sorts by Debian's rules (deb-version(7))."""
        return version_key(self.version)


class Packages:
    """The stanzas of several lists, by name. Not a frozen value: what was parsed is kept.

    A name is kept with the place where it stands, so that the lists are in memory once and not in pieces, too.
    """

    def __init__(self, lists: Sequence[tuple[str, Text]]) -> None:
        """Indexes the lists: pairs of an archive and the text of a list. Of equal versions that of the earlier list counts."""
        self._lists = lists
        self._parsed: dict[str, Package | None] = {}
        self._places: dict[bytes, list[tuple[int, int]]] = {}
        for number, (_, text) in enumerate(lists):
            for at in _lines(text, b"Package: "):
                self._places.setdefault(_value(text, at), []).append((number, at))

    def get(self, name: str) -> Package | None:
        """Returns the highest version of a package in all lists; None if no list has it."""
        if name not in self._parsed:
            places = self._places.get(name.encode(), ())
            found = [_package(self._lists[number][0], _stanza(self._lists[number][1], at)) for number, at in places]
            self._parsed[name] = max(found, key=lambda package: package.key, default=None)
        return self._parsed[name]

    def providers(self, name: str) -> list[Package]:
        """Returns the packages that provide a name, sorted by name; only highest versions count."""
        found = (self.get(each) for each in self._provided.get(name, ()))
        return [package for package in found if package and any(atom.name == name for atom in package.provides)]

    @property
    def names(self) -> list[str]:
        """The names of all packages, sorted."""
        return sorted(name.decode("utf-8", "replace") for name in self._places)

    @cached_property
    def _provided(self) -> Mapping[str, list[str]]:
        """The packages that provide a name: one search through all lists, when the first virtual name is looked up."""
        found: dict[str, set[str]] = {}
        for _, text in self._lists:
            for at in _lines(text, b"Provides: "):
                stanza = _stanza(text, at)
                name = _value(stanza, next(_lines(stanza, b"Package: "), len(stanza))).decode("utf-8", "replace")
                for atom in _value(text, at).split(b","):
                    virtual = atom.partition(b"(")[0].partition(b":")[0].strip().decode("utf-8", "replace")
                    found.setdefault(virtual, set()).add(name)
        return {virtual: sorted(names) for virtual, names in found.items()}


def _lines(text: Text, start: bytes) -> Iterator[int]:
    """Yields the offsets of the values of all lines that begin like this."""
    if text.startswith(start):
        yield len(start)
    start = b"\n" + start
    at = 0
    while (at := text.find(start, at)) >= 0:
        at += len(start)
        yield at


def _value(text: Text, at: int) -> bytes:
    """Returns the rest of a line."""
    end = text.find(b"\n", at)
    return bytes(text[at : end if end >= 0 else len(text)]).strip()


def _stanza(text: Text, at: int) -> bytes:
    """Returns the stanza around an offset."""
    start, end = text.rfind(b"\n\n", 0, at), text.find(b"\n\n", at)
    return bytes(text[start + 2 if start >= 0 else 0 : end if end >= 0 else len(text)])


def _package(archive: str, stanza: bytes) -> Package:
    try:
        found = fields(stanza.decode())
    except UnicodeDecodeError:
        raise IntegrityError(f"a list of packages is not UTF-8: {stanza[:60]!r}") from None
    name, size, digest = found.get("Package", ""), found.get("Size", ""), found.get("SHA256", "")
    version, pool = found.get("Version", ""), found.get("Filename", "")
    if not NAME.fullmatch(name) or not POOL.fullmatch(pool) or not _SHA256.fullmatch(digest):
        raise IntegrityError(f"a list of packages has no good name, path or SHA-256 for {name[:80]!r}")
    if not re.fullmatch(r"[0-9]{1,12}", size) or int(size) > MAX_DEB:
        raise IntegrityError(f"a list of packages has a bad size for {name}: {size[:40]!r}")
    version_key(version)
    needs = _dependencies(found.get("Pre-Depends", "")) + _dependencies(found.get("Depends", ""))
    provides = tuple(atom for group in _dependencies(found.get("Provides", "")) for atom in group)
    architecture = found.get("Architecture", "")
    return Package(name, version, architecture, archive, pool, digest, int(size), needs, provides)


def _dependencies(text: str) -> tuple[Dependency, ...]:
    groups = (group for group in " ".join(text.split()).split(",") if group.strip())
    return tuple(tuple(_atom(part.strip()) for part in group.split("|")) for group in groups)


def _atom(text: str) -> Atom:
    match = _ATOM.fullmatch(text)
    if match is None:
        raise IntegrityError(f"not a dependency: {text[:80]!r}")
    return Atom(match[1], match[2] or "", match[3] or "")
