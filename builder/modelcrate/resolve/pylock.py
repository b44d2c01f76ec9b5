"""pylock.toml (PEP 751): the wheels that it means for a target. Pure, but for the size of files that lie on this disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from modelcrate.resolve.pinned import PinnedWheel
from modelcrate.resolve.requirements import Hashes
from modelcrate.resolve.target import NoWheelError, Target
from modelcrate_layers.errors import IntegrityError, UserError, unreadable
from modelcrate_layers.named_file import open_named_file

if TYPE_CHECKING:
    from packaging.pylock import Package, PackageWheel, Pylock

MAX_LOCK = 64 << 20
"""Bytes of a pylock.toml."""


def read_pylock(path: Path) -> str:
    """Returns the text of a pylock.toml on this disk."""
    try:
        with open_named_file(path) as handle:
            data = handle.read(MAX_LOCK + 1)
    except OSError as fault:
        raise unreadable(fault, path) from None
    if len(data) > MAX_LOCK:
        raise UserError(f"has more than {MAX_LOCK} bytes", where=str(path), hint="lock less packages in one file")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise UserError("is not UTF-8", where=str(path), hint="save the file as UTF-8") from None


def select(text: str, target: Target, folder: Path, hashes: Hashes, where: str) -> tuple[PinnedWheel, ...]:
    """Returns the wheels of a lock for this target, by name: its markers hold there, and each wheel's tag is the best that runs there.

    `hashes` narrows the choice further, by name. `folder` is where relative paths begin. Anything that is no wheel, or has no
    SHA-256, is a UserError, with `where` the lock came from.
    """
    from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
    from packaging.pylock import PylockSelectError

    lock = _lock(text, hashes, where)
    try:
        chosen = list(lock.select(environment=target.environment(), tags=target.tags()))
    except (PylockSelectError, UndefinedComparison, UndefinedEnvironmentName) as fault:
        raise UserError(
            f"gives no wheels for {target}",
            where=where,
            why=f"{fault}\nlooked for the wheel tags {target.sought()}",
            hint="lock for this platform and Python too",
        ) from None
    pinned = [_pinned(_wheel(package, found, target, where), folder, where) for package, found in chosen]
    return tuple(sorted(pinned, key=lambda each: each.name))


def every(text: str, folder: Path, where: str) -> tuple[PinnedWheel, ...]:
    """Returns all wheels that a lock names, for any target."""
    packages = _lock(text, {}, where).packages
    return tuple(_pinned(wheel, folder, where) for package in packages for wheel in package.wheels or ())


def _lock(text: str, hashes: Hashes, where: str) -> Pylock:
    """Returns the lock without the wheels that do not have the demanded hash."""
    import tomllib

    from packaging.pylock import Pylock, PylockUnsupportedVersionError, PylockValidationError

    try:
        return Pylock.from_dict(_narrowed(tomllib.loads(text), hashes, where))
    except (tomllib.TOMLDecodeError, PylockValidationError, PylockUnsupportedVersionError) as fault:
        raise UserError(
            "is not a pylock.toml that we can read",
            where=where,
            why=str(fault),
            hint="make it anew, for instance: uv export --format pylock.toml",
        ) from None


def _narrowed(data: dict[str, Any], hashes: Hashes, where: str) -> dict[str, Any]:
    packages = data.get("packages")
    for package in packages if isinstance(packages, list) else []:
        wanted = hashes.get(str(package.get("name"))) if isinstance(package, dict) else None
        wheels = package.get("wheels") if wanted is not None else None
        if wanted is None or not isinstance(wheels, list):
            continue
        package["wheels"] = [each for each in wheels if _sha256(each) in wanted]
        if not package["wheels"]:
            raise IntegrityError(
                f"no wheel of {package['name']} {package.get('version', '')} has a hash that the requirements demand",
                where=where,
                why=f"found {', '.join(sorted(_sha256(each) or 'none' for each in wheels))}",
                hint="the index has other files than the requirements were written for",
            )
    return data


def _sha256(wheel: Any) -> str:
    hashes = wheel.get("hashes") if isinstance(wheel, dict) else None
    return str(hashes.get("sha256", "")).lower() if isinstance(hashes, Mapping) else ""


def wheel_name(url: str) -> str:
    """Returns the file name in a URL."""
    return unquote(urlsplit(url).path).rsplit("/", 1)[-1]


def _wheel(package: Package, found: object, target: Target, where: str) -> PackageWheel:
    from packaging.pylock import PackageArchive, PackageSdist, PackageWheel

    if isinstance(found, PackageWheel):
        return found
    if isinstance(found, PackageArchive) and found.url and wheel_name(found.url).endswith(".whl"):
        return PackageWheel(name=wheel_name(found.url), url=found.url, size=found.size, hashes=found.hashes)
    from modelcrate.resolve.requirement_faults import place_of, refuse_elsewhere

    if not isinstance(found, PackageSdist):
        told = next(
            (
                str(getattr(each, "url", None) or each.path)
                for each in (package.vcs, package.directory, package.archive)
                if each
            ),
            "a place of its own",
        )
        raise refuse_elsewhere(package.name, told, place_of(where, package.name), "lock it from there")
    raise NoWheelError(
        f"{package.name} has a source distribution only",
        where=place_of(where, package.name),
        why=f"looked for the wheel tags {target.sought()}",
        hint="nothing is built from source: build the wheel, and name the folder it is in as wheelhouse",
    )


def _pinned(found: PackageWheel, folder: Path, where: str) -> PinnedWheel:
    from packaging.utils import parse_wheel_filename

    name, version, _, _ = parse_wheel_filename(found.filename)
    sha256 = found.hashes.get("sha256", "").lower()
    if not sha256:
        raise UserError(
            f"{found.filename} has no sha256, so nothing could be held to it",
            where=where,
            hint="make it anew with hashes, for instance: uv export --format pylock.toml",
        )
    url = _url(found, folder)
    return PinnedWheel(name, str(version), found.filename, sha256, _size(found.size, url), (url,) if url else ())


def _url(found: PackageWheel, folder: Path) -> str:
    return (folder / found.path).absolute().as_uri() if found.path else found.url or ""


def _size(size: int | None, url: str) -> int | None:
    """Returns a wheel's size; for a wheelhouse, the size of the file."""
    if size is not None or not url.startswith("file:"):
        return size
    try:
        from modelcrate.net.urls import local_path

        return local_path(url).stat().st_size
    except (OSError, ValueError):  # no such path, or no address at all: the download will say so
        return None
