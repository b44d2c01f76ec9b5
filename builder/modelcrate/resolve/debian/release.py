"""Reads a suite's signed index (InRelease): its signature, names, dates, and the hashes of its files. No network, no clock.

Only the bytes that the signature covers are ever read; what stands around them in the file is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import Enum
from functools import cache
from importlib.resources import files

from modelcrate.resolve.debian.releases import MAIN, DebianRelease, Suite
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.packages.deb import fields
from modelcrate_layers.patterns import compile_later

MAX_INRELEASE = 8 << 20
"""Bytes of an InRelease file; Debian's have about 150 kB."""

CLOCK_SKEW = timedelta(hours=24)
"""How far in the future an index may be signed: a machine's clock may be wrong, but not by days."""

_LINE = compile_later(r" ?([0-9a-f]{64}) +([0-9]{1,12}) +(\S+)")


class Freshness(Enum):
    """Whether an index may be used after its Valid-Until. An old index is one of a stale mirror, or a replay of known faults."""

    REQUIRED = "required"
    ANY = "any"
    """For snapshot mirrors, which are old on purpose."""
    IGNORED = "ignored"
    """For a project that asks for it: an old index counts, and it is said."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """Certificates that may sign an index, and their full fingerprints, which are pinned."""

    certificates: bytes
    fingerprints: frozenset[str]


@dataclass(frozen=True, slots=True)
class IndexFile:
    """A file that an index lists, by its path below `dists/SUITE/`."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Release:
    """A verified index: when it was signed, the files that it lists, and the last moment that it was valid, if that is over."""

    suite: Suite
    date: datetime
    files: Mapping[str, IndexFile]
    ended: datetime | None = None


def keyring_of(release: DebianRelease, archive: str) -> Keyring:
    """Returns the keys for one archive of a release: shipped with us, pinned in `releases`."""
    return Keyring(_shipped(), frozenset(release.keys[archive]))


def read_release(
    data: bytes, suite: Suite, keyring: Keyring, now: datetime, freshness: Freshness, where: str
) -> Release:
    """Verifies and reads the index of a suite from the bytes that a mirror sent. Any fault is an IntegrityError that names `where`.

    The signature has to be of a pinned key, the code name that of the suite, the date not in the future, and Valid-Until,
    where there is one, not in the past.
    """
    stanza = fields(_verified(data, keyring, where))
    if stanza.get(suite.field) != suite.name:
        raise IntegrityError(
            f"is the index of {stanza.get(suite.field, 'nothing')!r:.60}, not of {suite.name}", where=where
        )
    date = _date(stanza, "Date", where)
    if date is None or date > now + CLOCK_SKEW:
        raise IntegrityError(
            f"is signed in the future: {date}", where=where, why=f"the clock here says {now}", hint="set the clock"
        )
    until = _date(stanza, "Valid-Until", where)
    ended = until if until is not None and until < now else None
    if ended is not None and freshness is Freshness.REQUIRED:
        raise IntegrityError(
            f"was valid until {ended:%Y-%m-%d %H:%M} UTC and is too old",
            where=where,
            why=f"the mirror is stale, an old index is replayed, or the clock here is wrong ({now:%Y-%m-%d %H:%M} UTC)",
            hint="use another mirror, or a snapshot mirror, whose address has a moment in it; "
            "base: {from: debian, valid-until: ignored} takes this index without the updates since",
        )
    return Release(suite, date, _files(stanza.get("SHA256", ""), where), ended)


def packages_file(release: Release, architecture: str, where: str, component: str = MAIN) -> IndexFile:
    """Returns the list of the packages in a component for an architecture; a suite without it is an IntegrityError.

    gzip before xz: it is 3 MB more to fetch and unpacks in a quarter of the time.
    """
    for suffix in (".gz", ".xz"):
        if found := release.files.get(f"{component}/binary-{architecture}/Packages{suffix}"):
            return found
    raise IntegrityError(f"lists no packages of {component} for {architecture}", where=where)


def _verified(data: bytes, keyring: Keyring, where: str) -> str:
    """Returns the signed text, if a pinned key signed it. Further signatures by unknown keys do not matter."""
    from pysequoia import Cert, verify

    pinned = [cert for cert in Cert.split_bytes(keyring.certificates) if cert.fingerprint in keyring.fingerprints]
    try:
        checked = verify(bytes=data, store=lambda ids: pinned)
    except (RuntimeError, ValueError) as fault:
        raise IntegrityError(
            "is not signed by a key that is pinned for this suite",
            where=where,
            why=str(fault).partition("\n")[0],
            hint="the mirror's copy is damaged, was replaced, or is of another release",
        ) from None
    signed = checked.bytes
    if not any(each.certificate in keyring.fingerprints for each in checked.valid_sigs) or signed is None:
        raise IntegrityError("is not signed by a key that is pinned for this suite", where=where)
    try:
        return bytes(signed).decode()
    except UnicodeDecodeError:
        raise IntegrityError("is not UTF-8", where=where) from None


def _files(text: str, where: str) -> dict[str, IndexFile]:
    found: dict[str, IndexFile] = {}
    for line in filter(None, text.split("\n")):
        match = _LINE.fullmatch(line)
        if match is None:
            raise IntegrityError(f"has a malformed line of hashes: {line[:80]!r}", where=where)
        if match[3] in found:
            raise IntegrityError(f"lists {match[3][:80]} twice", where=where)
        found[match[3]] = IndexFile(match[3], match[1], int(match[2]))
    return found


def _date(stanza: Mapping[str, str], field: str, where: str) -> datetime | None:
    text = stanza.get(field)
    if text is None and field == "Valid-Until":
        return None  # only the suites that still change have one
    try:
        found = parsedate_to_datetime(text or "")
    except (ValueError, TypeError, OverflowError):
        raise IntegrityError(f"has no date where {field} should be: {text!r:.60}", where=where) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


@cache
def _shipped() -> bytes:
    return files(__package__).joinpath("keys.asc").read_bytes()
