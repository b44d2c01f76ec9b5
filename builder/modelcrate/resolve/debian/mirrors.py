"""Chooses the mirrors of Debian and Ubuntu: the project's, else the environment's, else those of this host's apt, else a built-in list."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from modelcrate.resolve.debian.release import Freshness, Keyring
from modelcrate.resolve.debian.releases import (
    ARCHIVE,
    MIRRORS,
    RELEASES,
    SECURITY,
    UBUNTU,
    UBUNTU_MIRRORS,
    UBUNTU_PORTS,
)
from modelcrate_layers.errors import IntegrityError, UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.packages.deb import fields
from modelcrate_layers.patterns import compile_later

APT = Path("/etc/apt")

_ONE_LINE = compile_later(r"deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.*)")
_SNAPSHOT = compile_later(r"/[0-9]{8}T[0-9]{6}Z(?:/|$)")
"""The moment that the addresses of a snapshot mirror name."""


@dataclass(frozen=True, slots=True)
class _Distribution:
    """What is different about mirrors of Debian and of Ubuntu.

    Attributes:
        archives: The folder of the main archive, and that of the other one.
        variable: The environment variable that names mirrors.
        keyrings: How the names of its keyrings begin in apt's settings.
        suites: Names of releases in apt's settings, besides the code names.
    """

    archives: tuple[str, str]
    variable: str
    built_in: tuple[tuple[str, str], ...]
    keyrings: str
    suites: frozenset[str] = frozenset()


_DEBIAN = _Distribution(
    (ARCHIVE, SECURITY),
    "MODELCRATE_DEBIAN_MIRROR",
    MIRRORS,
    "debian-archive-",
    frozenset({"stable", "oldstable", "testing", "sid"}),
)
_UBUNTU = _Distribution((UBUNTU, UBUNTU_PORTS), "MODELCRATE_UBUNTU_MIRROR", UBUNTU_MIRRORS, "ubuntu-archive-")
_DISTRIBUTIONS = {"debian": _DEBIAN, "ubuntu": _UBUNTU}
VARIABLE = _DEBIAN.variable


def variable_of(archive: str) -> str:
    """Returns the environment variable that names mirrors of an archive."""
    return next(each.variable for each in _DISTRIBUTIONS.values() if archive in each.archives)


@dataclass(frozen=True, slots=True)
class Mirrors:
    """The addresses that may have the archives, in the order in which they are tried.

    Attributes:
        addresses: By archive.
        keyring: Replaces the distribution's own keys, for archives with another signer.
    """

    addresses: Mapping[str, tuple[str, ...]]
    freshness: Freshness = Freshness.REQUIRED
    keyring: Keyring | None = None

    def of(self, archive: str) -> tuple[str, ...]:
        """Returns the addresses of an archive."""
        return self.addresses.get(archive, ())


def choose_mirrors(
    project: Sequence[str], environment: Mapping[str, str], apt: Path = APT, distribution: str = "debian"
) -> Mirrors:
    """Returns the mirrors of the first that names any: project file, environment, apt's settings on this host, built-in list.

    A mirror is the address of the archive, for instance of `debian`. That of `debian-security` (`ubuntu-ports`) is beside it, or
    follows after a space. An address that names a moment is of a snapshot mirror, whose indexes are old on purpose.
    """
    kind = _DISTRIBUTIONS[distribution]
    named = list(project) or [part.strip() for part in environment.get(kind.variable, "").split(",") if part.strip()]
    built_in = dict(zip(kind.archives, zip(*kind.built_in, strict=True), strict=True))
    if named:
        found = dict(zip(kind.archives, zip(*(_pair(text, kind) for text in named), strict=True), strict=True))
    else:
        found = {archive: each for archive, each in _of_host(apt, kind).items() if each}
    snapshot = bool(named) and all(map(_SNAPSHOT.search, named))
    addresses = {archive: tuple(dict.fromkeys(found.get(archive) or built_in[archive])) for archive in kind.archives}
    return Mirrors(addresses, Freshness.ANY if snapshot else Freshness.REQUIRED)


def _pair(text: str, kind: _Distribution) -> tuple[str, str]:
    addresses = [address.rstrip("/") for address in text.split()]
    if len(addresses) == 1:
        addresses.append(_sibling(addresses[0], kind))
    if len(addresses) != 2 or not all(map(_fetchable, addresses)):
        one, two = kind.archives
        raise UserError(
            f"not a {one.capitalize()} mirror: {text[:200]!r}",
            hint=f"expected the address of a folder {one}, and after a space that of {two}, if it is elsewhere",
        )
    return addresses[0], addresses[1]


def _sibling(address: str, kind: _Distribution) -> str:
    """Returns the address of the other archive beside the main one; empty where the address does not tell it."""
    one, two = kind.archives
    parts = address.split("/")
    places = [at for at, part in enumerate(parts) if part == one]
    if not places:
        return address if kind is _UBUNTU else ""  # a mirror of ubuntu-ports alone
    parts[places[-1]] = two
    return "/".join(parts)


def _fetchable(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme == "file" or (parts.scheme in ("http", "https") and bool(parts.hostname))


@dataclass(frozen=True, slots=True)
class _AptEntry:
    """One entry of apt's sources; `signed_by` is the keyring that may sign it, or empty."""

    address: str
    suite: str
    components: tuple[str, ...]
    signed_by: str


def _of_host(apt: Path, kind: _Distribution) -> dict[str, tuple[str, ...]]:
    """Returns the host's mirrors by archive; whatever else it installs from is passed over."""
    found: dict[str, list[str]] = {archive: [] for archive in kind.archives}
    for entry in _apt_entries(apt):
        if (archive := _archive(entry, kind)) and entry.address not in found[archive]:
            found[archive].append(entry.address)
    if kind is _DEBIAN and found[ARCHIVE] and not found[SECURITY]:
        found[SECURITY] = [sibling for address in found[ARCHIVE] if (sibling := _sibling(address, kind))]
    if kind is _DEBIAN and not (found[ARCHIVE] and found[SECURITY]):
        return {}
    return {archive: tuple(addresses) for archive, addresses in found.items()}


def _archive(entry: _AptEntry, kind: _Distribution) -> str:
    """Returns which archive a source of apt's is; empty for third parties', whose folders are often called debian, too."""
    release, _, pocket = entry.suite.partition("-")
    foreign = entry.signed_by and not Path(entry.signed_by).name.startswith(kind.keyrings)
    known = release in {*RELEASES, *kind.suites} and pocket in ("", "updates", "security", "backports")
    if foreign or not known or "main" not in entry.components or not _fetchable(entry.address):
        return ""
    parts = urlsplit(entry.address).path.split("/")
    security = kind is _DEBIAN and pocket == "security"
    wanted = (SECURITY,) if security else (ARCHIVE,) if kind is _DEBIAN else kind.archives
    return next(
        (
            archive
            for archive in wanted
            if archive in parts and not (kind is _DEBIAN and not security and SECURITY in parts)
        ),
        "",
    )


def _apt_entries(apt: Path) -> Iterator[_AptEntry]:
    """Yields the enabled entries for binary packages (sources.list(5)); files and lines that can't be read are skipped."""
    for path in [apt / "sources.list", *sorted(apt.glob("sources.list.d/*"))]:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        if path.suffix == ".list":
            yield from _one_line(text)
        elif path.suffix == ".sources":
            yield from _deb822(text)


def _one_line(text: str) -> Iterator[_AptEntry]:
    for line in text.splitlines():
        if match := _ONE_LINE.fullmatch(line.partition("#")[0].strip()):
            options = dict(each.partition("=")[::2] for each in (match[1] or "").split())
            yield _AptEntry(match[2].rstrip("/"), match[3], tuple(match[4].split()), options.get("signed-by", ""))


def _deb822(text: str) -> Iterator[_AptEntry]:
    plain = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n[ \t]*\n", plain):
        try:
            found = fields(stanza)
        except IntegrityError:
            continue
        if "deb" not in found.get("Types", "").split() or found.get("Enabled", "yes").lower() in ("no", "false"):
            continue
        for address in found.get("URIs", "").split():
            for suite in found.get("Suites", "").split():
                components = tuple(found.get("Components", "").split())
                yield _AptEntry(address.rstrip("/"), suite, components, found.get("Signed-By", "").strip())
