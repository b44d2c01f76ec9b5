"""The wheels of an image: pinned for its platform by uv, found again by name and hash, fetched into a cache by hash.

A pin names no host. A wheelhouse, any index or the cache may serve the file with that name and hash.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from modelcrate.home.result_cache import ResultCache
from modelcrate.net.download import WORKERS, Download, Downloader
from modelcrate.resolve.index import Index, for_exact_versions
from modelcrate.resolve.locked import exact_lines, hashes_of
from modelcrate.resolve.pinned import PinnedWheel
from modelcrate.resolve.pylock import every, read_pylock, select, wheel_name
from modelcrate.resolve.requirements import Hashes, Requirements, package_of, read_requirements
from modelcrate.resolve.stand_ins import stand_ins
from modelcrate.resolve.target import Target
from modelcrate.resolve.uv import Uv
from modelcrate_layers.atomic import scratch_folder
from modelcrate_layers.content import canonical_json, parse_json
from modelcrate_layers.errors import CrateError, LockedError, RegistryError, UserError
from modelcrate_layers.frozen import replace
from modelcrate_layers.layer_cache import settled
from modelcrate_layers.packages.pinned import normalise_name
from modelcrate_layers.packages.wheel import Wheel
from modelcrate_layers.packages.wheel import read as read_wheel
from modelcrate_layers.tar.sources import FileRange
from modelcrate_layers.tar.tree import file

if TYPE_CHECKING:
    from packaging.pylock import PackageWheel

_NOTHING: Mapping[str, str] = MappingProxyType({})

VERSION = 1
"""Raised when more is refused in a wheel: those that were good before are then looked at again."""

__all__ = ["Index", "PinnedWheel", "Requirements", "Target", "Uv", "cached", "fetch_wheels", "locate", "lock_wheels"]


def lock_wheels(
    requirements: Requirements, target: Target, index: Index, uv: Uv, there: Mapping[str, str] = _NOTHING
) -> tuple[PinnedWheel, ...]:
    """Returns every wheel that the requirements need on the target, by name.

    A lock is taken as it is; lines and files beside it only add what it lacks, at versions that go with it. Hashes
    that the requirements give are enforced.

    Args:
        requirements: The requirements of the project.
        target: The platform and Python of the image.
        index: The index that wheels come from.
        uv: The program that resolves them.
        there: Packages that the image has already, by name, with their versions. The others have to go with them, and they are
            not locked again.

    Raises:
        UserError: The requirements can't be satisfied, or there is no such package, or no wheel for the target.
        RegistryError: The index failed, or is needed though offline.
    """
    read = read_requirements(requirements, None if uv.network.foreign else uv.network.environment)
    index = replace(index, direct={**index.direct, **read.urls})
    locked = _take_lock(requirements, target, index, uv)
    lines = _lacking(read.lines, locked)
    projects = [file for file in requirements.files if file.suffix == ".toml"]
    if not lines and not projects:
        return _reachable((each for each in locked if each.name not in there), index, uv)
    with scratch_folder() as scratch:
        given = [*projects, *_written(scratch / "dependencies", lines)]
        limits = [*read.constraints, *_exactly(locked), *(f"{name}=={version}" for name, version in there.items())]
        options = [word for pin in _written(scratch / "constraints", limits) for word in ("--constraints", str(pin))]
        options += ["--find-links", str(stand_ins(there, scratch / "there"))] if there else []
        with _lines_named(requirements), _faulty_wheels_named(index):
            text = uv.compile(given, target, index, *requirements.options, *options)
    found = _select(text, target, given[0].absolute().parent, read.hashes, index, uv)
    locked = tuple(each for each in locked if each.name not in there)
    names = {*there, *(each.name for each in locked)}
    added = [each for each in found if each.name not in names]
    return _reachable(sorted([*locked, *added], key=lambda each: each.name), index, uv)


def _select(text: str, target: Target, folder: Path, hashes: Hashes, index: Index, uv: Uv) -> tuple[PinnedWheel, ...]:
    """Selects from an answer of uv. What a folder of wheels alone gives is remembered: to read the answer anew takes a tenth of such a build."""
    if not index.is_one_folder:  # its addresses may have a login
        return select(text, target, folder, hashes, "the package index", _sha256_finder(index, uv))
    kept = ResultCache(uv.choices)
    wanted = sorted((name, sorted(each)) for name, each in hashes.items())
    question = ["selection", text, [target.python, target.architecture, target.glibc, target.musl], wanted]
    if (known := kept.get(question)) is not None:
        return tuple(replace(PinnedWheel.parse(each), urls=tuple(each["urls"])) for each in parse_json(known))
    found = select(text, target, folder, hashes, "the package index")
    kept.put(question, canonical_json([{**each.json(), "urls": each.urls} for each in found]))
    return found


def _sha256_finder(index: Index, uv: Uv) -> Callable[[PackageWheel], str]:
    """Returns what finds the SHA-256 of a wheel to which its index gives an older hash. What it takes is imported only then."""

    def find(wheel: PackageWheel) -> str:
        from modelcrate.resolve.weak_hashes import WeakHashes

        return WeakHashes(index, uv).find_sha256(wheel)

    return find


def check_local_wheels(pinned: Iterable[PinnedWheel], cache: Path) -> None:
    """Looks at those of the wheels that are on this machine, as a build looks at them, so that a lock names none that no build takes.

    One that was good is not looked at again while its file has the same stamp.

    Args:
        pinned: The wheels.
        cache: The folder of the cache.

    Raises:
        CrateError: One of them can't be installed.
    """
    from modelcrate.net.urls import local_path

    good = ResultCache(cache / "good-wheels")
    for each in pinned:
        for url in each.urls:
            path = local_path(url)
            if url.startswith("file://") and path.is_file():
                source = FileRange.of_file(str(path))
                question = [VERSION, each.name, source.path, *source.stamp]
                if good.get(question) is None:
                    _check_wheel(path, each.name)
                    if settled([file(os.fsencode(path), source)]):
                        good.put(question, b"")


@contextmanager
def _lines_named(requirements: Requirements) -> Iterator[None]:
    """Adds the line of the requirements that a fault is about, where one of their files has it."""
    try:
        yield
    except UserError as fault:
        told = re.match(r"there is no (?:package|wheel of) (\S+) |(\S+) has no wheel for ", fault.what)
        if told and not fault.where:
            from modelcrate.resolve.requirement_faults import place_of

            files = dict.fromkeys([*requirements.files, *(each.file for each in requirements.placed)])
            places = (place_of(str(file), told[1] or told[2]) for file in files)
            fault.where = next((place for place in places if place.rpartition(":")[2].isdigit()), "")
        raise


@contextmanager
def _faulty_wheels_named(index: Index) -> Iterator[None]:
    """Names the wheel of a folder that can't be read, where that is why uv has failed: uv says that an index failed, or no package."""
    try:
        yield
    except CrateError as fault:
        told = normalise_name(str(fault))
        houses = [house for house in (index.wheelhouse, *map(Path, index.find_links)) if house is not None]
        for path in sorted(path for house in houses for path in house.glob("*.whl")):
            name = normalise_name(path.name.partition("-")[0])
            if name in told:
                _check_wheel(path, name)
        raise


def _check_wheel(path: Path, name: str) -> None:
    version = path.name.split("-")[1] if path.name.count("-") > 1 else ""
    try:
        read_wheel(Wheel(name, version, path.name, "0" * 64, path.stat().st_size, str(path)))
    except CrateError as fault:
        hint = "build or fetch this wheel again, and put it in the place of this one"
        raise type(fault)(f"can't be installed: {fault.what}", where=str(path), why=fault.why, hint=hint) from None


def _take_lock(requirements: Requirements, target: Target, index: Index, uv: Uv) -> tuple[PinnedWheel, ...]:
    """Returns the wheels of the lock among the requirements, if there is one.

    A lock that has no addresses of its files has them looked up: exactly its versions, with its hashes and nothing more.
    """
    if requirements.pylock is not None:
        path = requirements.pylock
        text = requirements.pylock_text or read_pylock(path)
        return select(text, target, path.absolute().parent, {}, str(path))
    if requirements.uv_lock is not None:
        path = requirements.uv_lock.path
        return select(uv.export(requirements.uv_lock, target), target, path.absolute().parent, {}, str(path))
    if requirements.locked is None:
        return ()
    chosen = requirements.locked.select(cast("Mapping[str, str]", target.environment()))
    if not chosen:
        return ()
    with scratch_folder() as scratch:
        files = _written(scratch / "locked", exact_lines(chosen))
        text = uv.compile(files, target, for_exact_versions(index), "--no-deps", "--prerelease", "allow")
    finder = _sha256_finder(index, uv)
    return select(text, target, Path(), hashes_of(chosen), requirements.locked.where, finder)


def with_sizes(pinned: Sequence[PinnedWheel], fetcher: Downloader) -> tuple[PinnedWheel, ...]:
    """Returns the wheels with their sizes. Where the index has none, the server is queried for it, and no wheel is fetched."""

    def sized(each: PinnedWheel) -> PinnedWheel:
        return each if each.size is not None or not each.urls else replace(each, size=fetcher.size(each.urls[0]))

    from concurrent.futures import ThreadPoolExecutor

    if fetcher.offline or all(each.size is not None for each in pinned):
        return tuple(pinned)
    with ThreadPoolExecutor(WORKERS) as pool:
        return tuple(pool.map(sized, pinned))


def look_for_wheel(line: str, target: Target, index: Index, uv: Uv) -> None:
    """Raises a UserError where there is no wheel for a requirement and the target, another CrateError where the index fails."""
    with scratch_folder() as scratch:
        uv.compile(_written(scratch / "asked", [line]), target, index, "--no-deps")


def locate(pinned: Sequence[PinnedWheel], target: Target, index: Index, uv: Uv, cache: Path) -> tuple[PinnedWheel, ...]:
    """Returns the same pins with places to fetch them from; those that the cache has need none.

    The wheelhouse is looked through first; then uv looks up exactly these versions.

    Raises:
        LockedError: A wheel is nowhere to be had, or another file has its name.
        RegistryError: The index failed, or is needed though offline.
    """
    known = [_in_known_place(each, index) for each in pinned]
    lost = [each for each in known if not each.urls and not each.place(cache).exists()]
    if not lost:
        return tuple(known)
    if uv.network.offline:
        raise RegistryError(
            f"{'a wheel is' if len(lost) == 1 else f'{len(lost)} wheels are'} in no cache or wheelhouse, and --offline forbids to fetch {'it' if len(lost) == 1 else 'them'}",
            why="\n".join(each.filename for each in lost),
            hint=f"put them into a wheelhouse, or build once with the network; the cache is {cache}",
        )
    with scratch_folder() as scratch:
        try:
            text = uv.compile(
                _written(scratch / "locked", _exactly(lost)), target, for_exact_versions(index), "--no-deps"
            )
        except UserError as fault:
            raise LockedError(
                "a locked wheel can't be had any more", why=str(fault), hint="lock again, or get it into a wheelhouse"
            ) from None
        locked = {each.filename: each.sha256 for each in lost}
        named = every(text, scratch, "the package index", locked)
        seen = {each.filename: each for each in _reachable(named, index, uv)}
    return tuple(_again(each, seen.get(each.filename)) if each in lost else each for each in known)


def fetch_wheels(pinned: Iterable[PinnedWheel], cache: Path, fetcher: Downloader) -> tuple[Wheel, ...]:
    """Fetches wheels into the cache, several at a time, and checks the hash and size of each."""
    wanted = list(pinned)
    paths = fetcher.download_all(
        [
            Download(f"{each.name} {each.version}", each.urls, each.place(cache), each.sha256, each.size)
            for each in wanted
        ]
    )
    return tuple(each.as_package(cache, path.stat().st_size) for each, path in zip(wanted, paths, strict=True))


def cached(pinned: PinnedWheel, cache: Path) -> Wheel | None:
    """Returns the wheel as it will be in the cache, fetched or not: enough for a layer's key. None, while its size is unknown."""
    path = pinned.place(cache)
    size = path.stat().st_size if path.exists() else pinned.size
    return None if size is None else pinned.as_package(cache, size)


def _written(path: Path, lines: Sequence[str]) -> list[Path]:
    """Writes a requirements file of these lines, if there are any, and returns its path in a list."""
    if not lines:
        return []
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    return [path]


def _exactly(pinned: Iterable[PinnedWheel]) -> list[str]:
    return [f"{each.name}=={each.version}" for each in pinned]


def _lacking(lines: Iterable[str], locked: Sequence[PinnedWheel]) -> list[str]:
    names = {each.name for each in locked}
    return [line for line in lines if package_of(line) not in names]


def _reachable(pinned: Iterable[PinnedWheel], index: Index, uv: Uv) -> tuple[PinnedWheel, ...]:
    return tuple(replace(each, urls=tuple(uv.login(url, index) for url in each.urls)) for each in pinned)


def _in_known_place(pinned: PinnedWheel, index: Index) -> PinnedWheel:
    """Adds the wheelhouse's file, or the URL that the project names. Whether it is the right file, its hash says when it is fetched."""
    places = [index.wheelhouse / pinned.filename] if index.wheelhouse is not None else []
    found = [path.absolute().as_uri() for path in places if path.is_file()]
    direct = index.direct.get(pinned.name, "")
    if direct and wheel_name(direct) == pinned.filename:
        found.append(direct)
    return replace(pinned, urls=(*found, *pinned.urls))


def _again(pinned: PinnedWheel, found: PinnedWheel | None) -> PinnedWheel:
    if found is None or found.sha256 != pinned.sha256:
        raise LockedError(
            f"{pinned.filename} is not what was locked" if found else f"{pinned.filename} can't be had any more",
            why=f"locked sha256 {pinned.sha256}" + (f"\n found sha256 {found.sha256}" if found else ""),
            hint="lock again, or put the locked file into a wheelhouse",
        )
    return replace(pinned, urls=found.urls, size=pinned.size or found.size)
