"""Which mirrors are asked: the project's, else the environment's, else those of a Debian host, else a built-in list."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from modelcrate.resolve.debian.release import Freshness, Keyring
from modelcrate.resolve.debian.releases import ARCHIVE, MIRRORS, RELEASES, SECURITY
from modelcrate_layers.errors import IntegrityError, UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.packages.deb import fields

VARIABLE = "MODELCRATE_DEBIAN_MIRROR"
APT = Path("/etc/apt")

_ONE_LINE = re.compile(r"deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.*)")


@dataclass(frozen=True, slots=True)
class Mirrors:
    """The addresses that may have Debian's two archives, in the order in which they are asked.

    `keyring` replaces Debian's own keys, for archives that somebody else signs.
    """

    debian: tuple[str, ...]
    security: tuple[str, ...]
    freshness: Freshness = Freshness.REQUIRED
    keyring: Keyring | None = None

    def of(self, archive: str) -> tuple[str, ...]:
        return self.security if archive == SECURITY else self.debian


def choose_mirrors(
    project: Sequence[str], environment: Mapping[str, str], apt: Path = APT, freshness: Freshness = Freshness.REQUIRED
) -> Mirrors:
    """The mirrors of the first that names any: project file, environment, apt's settings on this host, built-in list.

    A mirror is the address of `debian`; that of `debian-security` is its sibling, or stands behind it, after a space.
    """
    named = list(project) or [part.strip() for part in environment.get(VARIABLE, "").split(",") if part.strip()]
    pairs = [_pair(text) for text in named] or _of_host(apt) or list(MIRRORS)
    return Mirrors(
        tuple(dict.fromkeys(one for one, _ in pairs)), tuple(dict.fromkeys(two for _, two in pairs)), freshness
    )


def _pair(text: str) -> tuple[str, str]:
    addresses = [address.rstrip("/") for address in text.split()]
    if len(addresses) == 1:
        addresses.append(_sibling(addresses[0]))
    if len(addresses) != 2 or not all(map(_fetchable, addresses)):
        raise UserError(
            f"not a Debian mirror: {text[:200]!r}",
            hint="expected the address of a folder debian, and after a space that of debian-security, if it is elsewhere",
        )
    return addresses[0], addresses[1]


def _sibling(address: str) -> str:
    """The address of the security archive beside the main one; empty where that can't be told."""
    parts = address.split("/")
    places = [at for at, part in enumerate(parts) if part == ARCHIVE]
    if not places:
        return ""
    parts[places[-1]] = SECURITY
    return "/".join(parts)


def _fetchable(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme == "file" or (parts.scheme in ("http", "https") and bool(parts.hostname))


@dataclass(frozen=True, slots=True)
class _AptEntry:
    """One source of apt's: `signed_by` is empty, or the keyring that it is held to."""

    address: str
    suite: str
    components: tuple[str, ...]
    signed_by: str


def _of_host(apt: Path) -> list[tuple[str, str]]:
    """The host's mirrors of Debian's two archives; whatever else it installs from is passed over."""
    found: dict[str, list[str]] = {ARCHIVE: [], SECURITY: []}
    for entry in _apt_entries(apt):
        if (archive := _archive(entry)) and entry.address not in found[archive]:
            found[archive].append(entry.address)
    security = found[SECURITY]
    pairs = [
        (one, security[min(at, len(security) - 1)] if security else _sibling(one))
        for at, one in enumerate(found[ARCHIVE])
    ]
    return [pair for pair in pairs if pair[1]]


def _archive(entry: _AptEntry) -> str:
    """Which of Debian's archives a source of apt's is; empty for third parties', whose folders are often called debian, too."""
    release, _, rest = entry.suite.partition("-")
    foreign = entry.signed_by and not Path(entry.signed_by).name.startswith("debian-archive-")
    known = release in {*RELEASES, "stable", "oldstable", "testing", "sid"} and rest in (
        "",
        "updates",
        "security",
        "backports",
    )
    if foreign or not known or "main" not in entry.components or not _fetchable(entry.address):
        return ""
    parts = urlsplit(entry.address).path.split("/")
    return next(
        (
            name
            for name in (SECURITY, ARCHIVE)
            if name in parts and (name == SECURITY) is (rest == SECURITY.partition("-")[2])
        ),
        "",
    )


def _apt_entries(apt: Path) -> Iterator[_AptEntry]:
    """Every enabled source of binary packages (sources.list(5)); what can't be read or understood is none of ours."""
    for path in [apt / "sources.list", *sorted(apt.glob("sources.list.d/*"))]:
        try:
            text = path.read_text()
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
