"""The wheels of an image: pinned for its platform by uv, found again by name and hash, fetched into a cache by hash.

A pin names no host. Whoever has the file under that name with that hash may serve it: a wheelhouse, any index, the cache.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from modelcrate.net.download import Download, Downloader
from modelcrate.resolve.pinned import PinnedWheel
from modelcrate.resolve.pylock import every, read_pylock, select
from modelcrate.resolve.requirements import Requirements, check, package_of
from modelcrate.resolve.target import Target
from modelcrate.resolve.uv import Index, Uv
from modelcrate_layers.errors import LockedError, RegistryError, UserError
from modelcrate_layers.packages.wheel import Wheel

_NOTHING: Mapping[str, str] = MappingProxyType({})

__all__ = ["Index", "PinnedWheel", "Requirements", "Target", "Uv", "cached", "fetch_wheels", "locate", "lock_wheels"]


def lock_wheels(
    requirements: Requirements, target: Target, index: Index, uv: Uv, there: Mapping[str, str] = _NOTHING
) -> tuple[PinnedWheel, ...]:
    """Every wheel that the requirements need on the target, by name.

    A pylock.toml is taken as it is; lines and files beside it only add what it lacks, at versions that go with it. Hashes
    that the requirements give are enforced. `there` are packages that the image has already, by name, with their versions: the
    others have to go with them, and they are not locked again. UserError: unsatisfiable, no such package, or no wheel for the target;
    RegistryError: the index failed, or is needed though offline.
    """
    hashes = check(requirements)
    locked: tuple[PinnedWheel, ...] = ()
    if requirements.pylock is not None:
        path = requirements.pylock
        locked = select(read_pylock(path), target, path.absolute().parent, {}, str(path))
    lines = _lacking(requirements.lines, locked)
    if not lines and not requirements.files:
        return _reachable((each for each in locked if each.name not in there), index, uv)
    with tempfile.TemporaryDirectory(prefix="modelcrate-") as name:
        given = [*requirements.files, *_written(Path(name) / "dependencies", lines)]
        pins = _written(
            Path(name) / "constraints", [*_exactly(locked), *(f"{name}=={version}" for name, version in there.items())]
        )
        options = [word for pin in pins for word in ("--constraints", str(pin))]
        options += ["--find-links", str(_stand_ins(there, Path(name)))] if there else []
        text = uv.compile(given, target, index, *options)
    found = select(text, target, given[0].absolute().parent, hashes, "the package index")
    locked = tuple(each for each in locked if each.name not in there)
    names = {*there, *(each.name for each in locked)}
    added = [each for each in found if each.name not in names]
    return _reachable(sorted([*locked, *added], key=lambda each: each.name), index, uv)


def locate(pinned: Sequence[PinnedWheel], target: Target, index: Index, uv: Uv, cache: Path) -> tuple[PinnedWheel, ...]:
    """The same pins with places to fetch them from, but for those that the cache has.

    The wheelhouse is looked through first; then uv is asked for exactly these versions. What nobody has is a LockedError.
    """
    known = [_in_wheelhouse(each, index) for each in pinned]
    lost = [each for each in known if not each.urls and not each.place(cache).exists()]
    if not lost:
        return tuple(known)
    if uv.network.offline:
        raise RegistryError(
            f"{len(lost)} wheels are in no cache or wheelhouse, and --offline forbids to fetch them",
            why="\n".join(each.filename for each in lost),
            hint=f"put them into a wheelhouse, or build once with the network; the cache is {cache}",
        )
    with tempfile.TemporaryDirectory(prefix="modelcrate-") as name:
        try:
            text = uv.compile(_written(Path(name) / "locked", _exactly(lost)), target, index, "--no-deps")
        except UserError as fault:
            raise LockedError(
                "a locked wheel can't be had any more", why=str(fault), hint="lock again, or get it into a wheelhouse"
            ) from None
        seen = {each.filename: each for each in _reachable(every(text, Path(name), "the package index"), index, uv)}
    return tuple(_again(each, seen.get(each.filename)) if each in lost else each for each in known)


def fetch_wheels(pinned: Iterable[PinnedWheel], cache: Path, fetcher: Downloader) -> tuple[Wheel, ...]:
    """The wheels in the cache, those that it lacked fetched several at a time, each held to its hash and size."""
    wanted = list(pinned)
    paths = fetcher.download_all(
        [
            Download(f"{each.name} {each.version}", each.urls, each.place(cache), each.sha256, each.size)
            for each in wanted
        ]
    )
    return tuple(each.as_package(cache, path.stat().st_size) for each, path in zip(wanted, paths, strict=True))


def cached(pinned: PinnedWheel, cache: Path) -> Wheel | None:
    """The wheel as it will be in the cache, fetched or not: enough for a layer's key. None, while nobody knows its size."""
    path = pinned.place(cache)
    size = path.stat().st_size if path.exists() else pinned.size
    return None if size is None else pinned.as_package(cache, size)


def _written(path: Path, lines: Sequence[str]) -> list[Path]:
    """A requirements file of these lines; none, where there are none."""
    if not lines:
        return []
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return [path]


def _exactly(pinned: Iterable[PinnedWheel]) -> list[str]:
    return [f"{each.name}=={each.version}" for each in pinned]


def _stand_ins(there: Mapping[str, str], folder: Path) -> Path:
    """Wheels with nothing in them, for what the image has already: no index may have it, and it has brought what it needs."""
    import zipfile

    house = folder / "there"
    house.mkdir()
    for name, version in there.items():
        stem = f"{name.replace('-', '_')}-{version}"
        with zipfile.ZipFile(house / f"{stem}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{stem}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            wheel.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{stem}.dist-info/RECORD", "")
    return house


def _lacking(lines: Iterable[str], locked: Sequence[PinnedWheel]) -> list[str]:
    names = {each.name for each in locked}
    return [line for line in lines if package_of(line) not in names]


def _reachable(pinned: Iterable[PinnedWheel], index: Index, uv: Uv) -> tuple[PinnedWheel, ...]:
    return tuple(replace(each, urls=tuple(uv.login(url, index) for url in each.urls)) for each in pinned)


def _in_wheelhouse(pinned: PinnedWheel, index: Index) -> PinnedWheel:
    """Whether it is the right file is found out by its hash, when it is fetched."""
    path = index.wheelhouse / pinned.filename if index.wheelhouse is not None else None
    if path is None or not path.is_file():
        return pinned
    return replace(pinned, urls=(path.absolute().as_uri(), *pinned.urls))


def _again(pinned: PinnedWheel, found: PinnedWheel | None) -> PinnedWheel:
    if found is None or found.sha256 != pinned.sha256:
        raise LockedError(
            f"{pinned.filename} is not what was locked" if found else f"nobody has {pinned.filename} any more",
            why=f"locked sha256 {pinned.sha256}" + (f"\n found sha256 {found.sha256}" if found else ""),
            hint="lock again, or put the locked file into a wheelhouse",
        )
    return replace(pinned, urls=found.urls, size=pinned.size or found.size)
