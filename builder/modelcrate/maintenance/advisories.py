"""Lists of vulnerabilities that a user has on disk: advisories in OSV's format, and the export of Debian's tracker.

OSV: https://ossf.github.io/osv-schema/ (1.6), files of one advisory or of a list, in a folder or alone. Debian: the file `data/json` of the tracker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from modelcrate.resolve.debian.versions import version_key
from modelcrate_layers.content import expect_text, parse_json
from modelcrate_layers.errors import CrateError, IntegrityError, SourceError, unreadable
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.named_file import read_named_file

MAX_FILE = 1 << 30
"""Bytes of a file: the export of Debian's tracker has some 70 MiB."""

MAX_FILES = 1_000_000
"""Files of a folder with advisories."""

_EVENTS = ("introduced", "fixed", "last_affected")


@dataclass(frozen=True, slots=True)
class Advisory:
    """A vulnerability of a package.

    Attributes:
        id: Its name, such as CVE-2024-1234.
        fixed: The version that has the fix; empty if there is none yet.
    """

    id: str
    fixed: str = ""


@dataclass(frozen=True, slots=True)
class _Affected:
    """What an advisory of OSV says of one package: single versions, and events by range."""

    id: str
    versions: frozenset[str]
    ranges: tuple[tuple[tuple[str, str], ...], ...]

    def concerns(self, version: str, key: Callable[[str], Any]) -> bool:
        return version in self.versions or any(_is_within(each, version, key) for each in self.ranges)

    @property
    def fixed(self) -> str:
        return next((point for each in reversed(self.ranges) for kind, point in reversed(each) if kind == "fixed"), "")


@dataclass(frozen=True, slots=True)
class _Tracked:
    """What Debian's tracker says of one vulnerability of a source package in one release."""

    id: str
    release: str
    open: bool
    fixed: str


@dataclass(frozen=True, slots=True)
class Advisories:
    """What files say of packages: by ecosystem and name, and by Debian's source package."""

    osv: Mapping[tuple[str, str], list[_Affected]]
    debian: Mapping[str, list[_Tracked]]

    def of_wheel(self, name: str, version: str) -> list[Advisory]:
        """Returns the advisories that concern a version of a package of PyPI."""
        from packaging.utils import canonicalize_name
        from packaging.version import Version

        return _sorted(_affecting(self.osv.get(("PyPI", canonicalize_name(name)), ()), version, Version))

    def of_deb(self, source: str, version: str, codename: str, number: str) -> list[Advisory]:
        """Returns the advisories that concern a version of a Debian source package in a release, such as bookworm and 12."""
        found = _affecting(self.osv.get((f"Debian:{number}", source), ()), version, version_key)
        for each in self.debian.get(source, ()):
            if each.release == codename and (each.open or _is_before(version, each.fixed)):
                found.append(Advisory(each.id, each.fixed))
        return _sorted(found)


def read_advisories(paths: Iterable[Path]) -> Advisories:
    """Reads files, and all `.json` files of folders.

    Raises:
        SourceError: One can't be read.
        IntegrityError: One is neither of the two formats.
    """
    osv: dict[tuple[str, str], list[_Affected]] = {}
    debian: dict[str, list[_Tracked]] = {}
    for path in (each for given in paths for each in _files(given)):
        value = _read(path)
        try:
            if isinstance(value, dict) and "id" not in value:
                for source, tracked in value.items():
                    debian.setdefault(source, []).extend(_debian(tracked))
                continue
            for advisory in value if isinstance(value, list) else [value]:
                for key, affected in _osv(advisory):
                    osv.setdefault(key, []).append(affected)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise IntegrityError(
                "is no list of vulnerabilities",
                where=str(path),
                hint="expected advisories in OSV's format, or the export of Debian's tracker",
            ) from None
    return Advisories(osv, debian)


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for count, each in enumerate(sorted(path.rglob("*.json"))):
        if count == MAX_FILES:
            raise SourceError(
                f"has more than {MAX_FILES} advisories", where=str(path), hint="name files, or a folder of fewer"
            )
        yield each


def _read(path: Path) -> Any:
    try:
        return parse_json(read_named_file(path, MAX_FILE), str(path), MAX_FILE)
    except OSError as fault:
        raise unreadable(fault, path, "the list of vulnerabilities") from None


def _osv(advisory: dict[str, Any]) -> Iterator[tuple[tuple[str, str], _Affected]]:
    """Yields what an advisory says of each package. Its CVE is its name, where it has one."""
    from packaging.utils import canonicalize_name

    if advisory.get("withdrawn"):
        return
    names = [expect_text(advisory["id"]), *map(expect_text, advisory.get("aliases") or ())]
    cve = next((each for each in names if each.startswith("CVE-")), names[0])
    for affected in advisory.get("affected", ()):
        ecosystem, name = expect_text(affected["package"]["ecosystem"]), expect_text(affected["package"]["name"])
        ranges = [each["events"] for each in affected.get("ranges") or () if each["type"] in ("ECOSYSTEM", "SEMVER")]
        points = tuple(
            tuple((kind, expect_text(point)) for event in events for kind, point in event.items() if kind in _EVENTS)
            for events in ranges
        )
        versions = frozenset(map(expect_text, affected.get("versions") or ()))
        yield (ecosystem, canonicalize_name(name) if ecosystem == "PyPI" else name), _Affected(cve, versions, points)


def _debian(tracked: dict[str, Any]) -> Iterator[_Tracked]:
    for name, told in tracked.items():
        for release, state in told["releases"].items():
            if state.get("urgency") == "unimportant":
                continue
            is_open, fixed = state["status"] == "open", expect_text(state.get("fixed_version") or "")
            if is_open or (state["status"] == "resolved" and fixed not in ("", "0")):  # "0": it never had the fault
                yield _Tracked(name, release, is_open, "" if is_open else fixed)


def _affecting(entries: Iterable[_Affected], version: str, key: Callable[[str], Any]) -> list[Advisory]:
    return [Advisory(each.id, each.fixed) for each in entries if each.concerns(version, key)]


def _sorted(found: Iterable[Advisory]) -> list[Advisory]:
    return sorted({each.id: each for each in found}.values(), key=lambda each: each.id)


def _is_within(events: Iterable[tuple[str, str]], version: str, key: Callable[[str], Any]) -> bool:
    """Returns whether a version is in a range (OSV schema, "Evaluation"); a range with a version that is none says nothing."""
    within = False
    with suppress(CrateError, ValueError):
        own = key(version)
        for kind, point in sorted(events, key=lambda each: (0,) if each[1] == "0" else (1, key(each[1]))):
            reached = point == "0" or own >= key(point)
            if kind == "introduced" and reached:
                within = True
            elif (kind == "fixed" and reached) or (kind == "last_affected" and reached and own != key(point)):
                within = False
    return within


def _is_before(version: str, fixed: str) -> bool:
    try:
        return version_key(version) < version_key(fixed)
    except IntegrityError:
        return False
