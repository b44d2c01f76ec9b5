"""Pins a Debian base: signed indexes give packages by pool path, hash and size. Fetches them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path

from modelcrate.events import Emit, Notice, ignore_event
from modelcrate.net.download import Download, Downloader
from modelcrate.net.errors import NotFound
from modelcrate.resolve.debian.closure import closure
from modelcrate.resolve.debian.mirrors import Mirrors, variable_of
from modelcrate.resolve.debian.packages import MAX_LIST, Packages
from modelcrate.resolve.debian.pinned import PinnedDeb, debs_in
from modelcrate.resolve.debian.release import (
    MAX_INRELEASE,
    Freshness,
    IndexFile,
    Release,
    keyring_of,
    packages_file,
    read_release,
)
from modelcrate.resolve.debian.releases import (
    ARCHITECTURES,
    ARCHIVE,
    ENDED_RELEASES,
    LEFT_OUT,
    MAIN,
    SECURITY,
    SHELL,
    UNIVERSE,
    DebianRelease,
    Suite,
    by_python,
    known_release,
    roots,
)
from modelcrate_layers.atomic import remove, write_file
from modelcrate_layers.content import Digest, canonical_json, parse_json
from modelcrate_layers.errors import CrateError, IntegrityError, LockedError, RegistryError, UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.kinds.debian import Deb
from modelcrate_layers.named_file import open_named_file
from modelcrate_layers.packages.checked import is_damaged
from modelcrate_layers.records import read_record, write_record
from modelcrate_layers.store import as_machine_error
from modelcrate_layers.tar import codec

_ANSWER = 1
"""The version of `closure`. It is raised when the same lists give other packages: cached results no longer count."""

_SECURITY_POOL = "pool/updates/"


@dataclass(frozen=True, slots=True)
class DebianWanted:
    """A base that is wanted.

    Attributes:
        release: Its code name.
        packages: Those that it is to have besides.
        python: The Python that it has to have; empty: any.
        shell: Whether it is to have a shell.
    """

    release: str
    architecture: str
    packages: tuple[str, ...] = ()
    python: str = ""
    shell: bool = False


def resolve_debian(
    wanted: DebianWanted,
    mirrors: Mirrors,
    fetcher: Downloader,
    cache: Path,
    now: datetime,
    emit: Emit = ignore_event,
) -> tuple[PinnedDeb, ...]:
    """Returns the packages of a base, by name: of each the highest version in the release, its updates and its security updates.

    The indexes are fetched each time, the lists that they name once per state of the mirror, and the result is cached by the
    lists' hashes. Offline, the indexes of the last time are used, under the same checks.
    """
    release = _checked(wanted)
    indexes = _indexes(release, wanted.architecture, mirrors, fetcher, cache, now)
    if mirrors.freshness is Freshness.IGNORED and (ended := [each for each in indexes if each.ended]):
        emit(Notice(_ended(ended)))
    names = (*roots(release), *(SHELL if wanted.shell else ()), *wanted.packages)

    def answer(components: Sequence[str]) -> tuple[PinnedDeb, ...]:
        lists = _lists(indexes, wanted.architecture, components)
        question = [_ANSWER, sorted(set(names)), sorted(LEFT_OUT), [each.sha256 for _, each in lists]]
        name = f"{Digest.of(canonical_json(question)).hex}.json"
        solve = partial(_solve, names, partial(_packages, lists, mirrors, fetcher, cache), " and ".join(components))
        return _remembered(cache / "debian" / "answers", name, solve)

    try:
        return answer(release.components[:1])
    except UserError as fault:
        if len(release.components) == 1:
            raise
        try:
            found = answer(release.components)
        except (IntegrityError, RegistryError):  # a mirror without them
            raise fault from None
    others = [each.package for each in found if not each.pool.startswith(f"pool/{MAIN}/")]
    emit(Notice(f"of {release}'s {UNIVERSE}, which has fewer security updates than {MAIN}: {', '.join(others)[:300]}"))
    return found


def newest_debs(wanted: DebianWanted, mirrors: Mirrors, fetcher: Downloader, cache: Path, now: datetime) -> Packages:
    """Returns all packages of a release with its updates and its security updates.

    Args:
        wanted: The release, the architecture, and the packages that are asked about.
        mirrors: Where the archives are.
        fetcher: The open connection.
        cache: The folder in which lists are kept.
        now: The time by which indexes are valid.

    Raises:
        UserError: The release or the architecture is unknown.
        RegistryError: No mirror answers.
        IntegrityError: An index or a list is not signed as it has to be, or has another hash.
    """
    release = _checked(wanted)
    indexes = _indexes(release, wanted.architecture, mirrors, fetcher, cache, now)
    found = _packages(_lists(indexes, wanted.architecture, release.components[:1]), mirrors, fetcher, cache)
    if len(release.components) > 1 and any(found.get(name) is None for name in wanted.packages):
        with suppress(IntegrityError):  # a mirror without them
            return _packages(_lists(indexes, wanted.architecture, release.components), mirrors, fetcher, cache)
    return found


def _lists(indexes: Sequence[Release], architecture: str, components: Sequence[str]) -> list[tuple[Release, IndexFile]]:
    """Returns the lists of packages that the indexes name."""
    return [
        (index, packages_file(index, architecture, index.suite.name, part)) for part in components for index in indexes
    ]


def _indexes(
    release: DebianRelease, architecture: str, mirrors: Mirrors, fetcher: Downloader, cache: Path, now: datetime
) -> list[Release]:
    suites = release.suites(architecture)
    with ThreadPoolExecutor(len(suites)) as pool:
        return list(pool.map(lambda suite: _index(suite, release, mirrors, fetcher, cache, now), suites))


def _ended(indexes: Sequence[Release]) -> str:
    names = ", ".join(f"{each.suite.name} of {each.date:%Y-%m-%d}" for each in indexes)
    return f"valid-until: ignored takes the Debian index {names}, whose last day is over: later security updates are missing"


def fetch_debs(pinned: Sequence[PinnedDeb], mirrors: Mirrors, fetcher: Downloader, cache: Path) -> tuple[Deb, ...]:
    """Fetches the packages that aren't in the cache, each checked against its hash and size.

    A package that no mirror has any more is a LockedError that names it.
    """
    debs = debs_in(pinned, cache)
    downloads = [
        Download(f"{deb.package} {deb.version}", _places(each, mirrors), deb.path, deb.sha256, deb.size)
        for each, deb in zip(pinned, debs, strict=True)
    ]
    try:
        fetcher.download_all(downloads)
    except NotFound as fault:
        raise _gone(fault, pinned) from None
    return debs


def _checked(wanted: DebianWanted) -> DebianRelease:
    release = known_release(wanted.release)
    if wanted.architecture not in ARCHITECTURES:
        raise UserError(
            f"no Debian base for the architecture {wanted.architecture[:40]!r}",
            hint=f"known are {', '.join(ARCHITECTURES)}",
        )
    if wanted.python not in ("", release.python):
        have = ", ".join(f"{each.codename} {each.python}" for each in by_python())
        raise UserError(
            f"{release} has Python {release.python}, not {wanted.python[:20]}",
            hint=f"choose another release ({have}), or an image that has this Python as the base",
        )
    return release


def _index(
    suite: Suite, release: DebianRelease, mirrors: Mirrors, fetcher: Downloader, cache: Path, now: datetime
) -> Release:
    """Returns the verified index of a suite, from the first mirror that answers. If that one is not valid, no other is tried."""
    keyring = mirrors.keyring or keyring_of(release, suite.archive)
    kept = cache / "debian" / "indexes" / f"{suite.name}.InRelease"
    places = [f"{address}/dists/{suite.name}/InRelease" for address in mirrors.of(suite.archive)]
    if fetcher.offline and kept.exists():
        with as_machine_error(kept), open_named_file(kept) as file:
            return read_release(file.read(), suite, keyring, now, mirrors.freshness, str(kept))
    faults: list[CrateError] = []
    for place in places:
        try:
            data = fetcher.text(place, MAX_INRELEASE)
        except RegistryError as fault:
            faults.append(fault)
            continue
        found = read_release(data, suite, keyring, now, mirrors.freshness, place)
        _write(kept, data)
        return found
    raise RegistryError(
        f"no mirror has the index of {suite.name}",
        hint=f"name a mirror in the project's base, or in {variable_of(suite.archive)}{_moved(release, now)}",
        also=faults,
    )


def _moved(release: DebianRelease, now: datetime) -> str:
    ended = release.security_until is not None and now.date() > release.security_until
    return f"; at its end a release moves to {ENDED_RELEASES}" if ended and release.distribution == "debian" else ""


def _packages(
    lists: Sequence[tuple[Release, IndexFile]], mirrors: Mirrors, fetcher: Downloader, cache: Path
) -> Packages:
    """Fetches the lists that the indexes name, by hash, and unpacks them in memory."""
    downloads = []
    for index, wanted in lists:
        if wanted.size > MAX_LIST:
            raise IntegrityError(f"a list of packages of {wanted.size} bytes", where=index.suite.name)
        places = [f"{address}/dists/{index.suite.name}" for address in mirrors.of(index.suite.archive)]
        folder = wanted.path.rpartition("/")[0]
        by_hash = [f"{place}/{folder}/by-hash/SHA256/{wanted.sha256}" for place in places]
        by_name = [f"{place}/{wanted.path}" for place in places]
        path = cache / "debian" / "lists" / wanted.sha256
        if is_damaged(path, wanted.sha256):
            remove(path)
        label = f"packages of {index.suite.name}"
        downloads.append(Download(label, (*by_hash, *by_name), path, wanted.sha256, wanted.size))
    paths = fetcher.download_all(downloads)
    return Packages([(index.suite.archive, _unpacked(path)) for (index, _), path in zip(lists, paths, strict=True)])


def _unpacked(path: Path) -> bytearray:
    text = bytearray()
    for chunk in codec.decode(iter([path.read_bytes()])):
        text += chunk
        if len(text) > MAX_LIST:
            raise IntegrityError(f"a list of packages unpacks to more than {MAX_LIST} bytes", where=str(path))
    return text


def _solve(names: Sequence[str], packages: Callable[[], Packages], of: str) -> tuple[PinnedDeb, ...]:
    return tuple(
        PinnedDeb(each.name, each.version, each.architecture, each.archive, each.pool, each.sha256, each.size)
        for each in closure(packages(), names, LEFT_OUT, of)
    )


def _remembered(folder: Path, name: str, solve: Callable[[], tuple[PinnedDeb, ...]]) -> tuple[PinnedDeb, ...]:
    """Returns the cached result, or solves and caches it. A damaged cache entry counts as none."""
    with suppress(IntegrityError, TypeError):
        if (data := read_record(folder, name)) is not None:
            return tuple(map(PinnedDeb.parse, parse_json(data, str(folder / name))))
    pinned = solve()
    with as_machine_error(folder):
        write_record(folder, name, canonical_json([each.json() for each in pinned]))
    return pinned


def _places(pinned: PinnedDeb, mirrors: Mirrors) -> tuple[str, ...]:
    """Returns the URLs of a package. A security update moves to the main archive, byte for byte, with the next point release."""
    places = [f"{address}/{pinned.pool}" for address in mirrors.of(pinned.archive)]
    if pinned.archive == SECURITY and pinned.pool.startswith(_SECURITY_POOL):
        pool = "pool/" + pinned.pool.removeprefix(_SECURITY_POOL)
        places += [f"{address}/{pool}" for address in mirrors.of(ARCHIVE)]
    return tuple(places)


def _gone(fault: NotFound, pinned: Sequence[PinnedDeb]) -> LockedError:
    places = [fault.where, *(each.where for each in fault.also)]
    gone = [each for each in pinned if any(place.endswith(each.pool) for place in places)]
    return LockedError(
        f"has left the mirror: {', '.join(f'{each.package} {each.version}' for each in gone)}",
        where=next(filter(None, places), ""),
        why="mirrors keep only the newest version of a package",
        hint="name a snapshot mirror, which keeps them all, or lock again to take the newest versions",
        also=fault.also,
    )


def _write(path: Path, data: bytes) -> None:
    with as_machine_error(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, data)
