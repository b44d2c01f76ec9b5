"""pylock.toml (PEP 751): the wheels that it means for a target. Pure, but for the size of files that lie on this disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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


def _no_sha256(_: PackageWheel) -> str:
    return ""


def select(
    text: str,
    target: Target,
    folder: Path,
    hashes: Hashes,
    where: str,
    find_sha256: Callable[[PackageWheel], str] = _no_sha256,
) -> tuple[PinnedWheel, ...]:
    """Returns the wheels of a lock for this target, by name: its markers hold there, and each wheel's tag is the best that runs there.

    Args:
        text: The lock.
        target: The platform and Python of the image.
        folder: Where relative paths begin.
        hashes: Hashes that narrow the choice further, by name.
        where: Where the lock came from.
        find_sha256: Finds the SHA-256 of a wheel for which the lock has another hash; empty where it can't.

    Raises:
        UserError: Something is no wheel, or has no SHA-256.
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
    wheels = (_wheel(package, found, target, where) for package, found in chosen)
    pinned = [_pinned(wheel, folder, where, _sha256(wheel.hashes) or find_sha256(wheel)) for wheel in wheels]
    for each in pinned:
        if each.sha256 not in hashes.get(each.name, (each.sha256,)):
            raise _other_files(f"{each.name} {each.version}", [each.sha256], where)
    return tuple(sorted(pinned, key=lambda each: each.name))


def every(text: str, folder: Path, where: str, known: Mapping[str, str]) -> tuple[PinnedWheel, ...]:
    """Returns the wheels that a lock names, for any target. Those without a SHA-256 have the one that is known of their file, or are left out."""
    wheels = [wheel for package in _lock(text, {}, where).packages for wheel in package.wheels or ()]
    hashed = [(wheel, _sha256(wheel.hashes) or known.get(wheel.filename, "")) for wheel in wheels]
    return tuple(_pinned(wheel, folder, where, sha256) for wheel, sha256 in hashed if sha256)


def versions(text: str, where: str) -> dict[str, str]:
    """Returns the versions of the packages of a lock, by name."""
    return {package.name: str(package.version) for package in _lock(text, {}, where).packages}


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
    """Leaves out the wheels that have another SHA-256 than is demanded; one that has none is held to it once it is found."""
    packages = data.get("packages")
    for package in packages if isinstance(packages, list) else []:
        wanted = hashes.get(str(package.get("name"))) if isinstance(package, dict) else None
        wheels = package.get("wheels") if wanted is not None else None
        if wanted is None or not isinstance(wheels, list):
            continue
        package["wheels"] = [each for each in wheels if _sha256(_hashes(each)) in ("", *wanted)]
        if not package["wheels"]:
            found = {_sha256(_hashes(each)) for each in wheels}
            raise _other_files(f"{package['name']} {package.get('version', '')}", found, where)
    return data


def _other_files(package: str, found: Iterable[str], where: str) -> IntegrityError:
    return IntegrityError(
        f"no wheel of {package} has a hash that the requirements demand",
        where=where,
        why=f"found {', '.join(sorted(found))}",
        hint="the index has other files than the requirements were written for",
    )


def _hashes(wheel: Any) -> Any:
    return wheel.get("hashes") if isinstance(wheel, dict) else None


def _sha256(hashes: Any) -> str:
    return str(hashes.get("sha256", "")).lower() if isinstance(hashes, Mapping) else ""


def wheel_name(url: str) -> str:
    """Returns the file name in a URL."""
    return unquote(urlsplit(url).path).rsplit("/", 1)[-1]


def _wheel(package: Package, found: object, target: Target, where: str) -> PackageWheel:
    from packaging.pylock import PackageArchive, PackageSdist, PackageWheel

    if isinstance(found, PackageWheel):
        return found
    if isinstance(found, PackageArchive) and (name := wheel_name(found.url or found.path or "")).endswith(".whl"):
        return PackageWheel(name=name, url=found.url, path=found.path, size=found.size, hashes=found.hashes)
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


def _pinned(found: PackageWheel, folder: Path, where: str, sha256: str) -> PinnedWheel:
    from packaging.utils import parse_wheel_filename

    name, version, _, _ = parse_wheel_filename(found.filename)
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
