"""What a revision of a model has: by the hub, or by the local cache of the hub's own tools where the hub can't be asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from modelcrate.net.download import Downloader
from modelcrate.net.errors import NotFound
from modelcrate.net.files import read_file
from modelcrate.resolve.hub.settings import HubSettings
from modelcrate_layers.content import parse_object
from modelcrate_layers.errors import CrateError, IntegrityError, RegistryError, SourceError
from modelcrate_layers.frozen import dataclass, replace
from modelcrate_layers.patterns import compile_later

MAX_ANSWER = 64 << 20
"""Bytes of a hub's description of a model; one with ten thousand files has about 3 MB."""

MAX_FILES = 10_000

COMMIT = compile_later(r"[0-9a-f]{40}")
_SHA256 = compile_later(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a model.

    Attributes:
        path: Its path in the model, with slashes.
        size: Its bytes.
        sha256: The SHA-256 of its bytes in hex, where it is known.
        blob: The hex digits of Git's object id (SHA-1), for a file whose SHA-256 the hub does not tell.
        place: Where the local cache of the hub's tools has it.
    """

    path: str
    size: int
    sha256: str = ""
    blob: str = ""
    place: Path | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A model at a commit. `complete` says whether a hub listed the files; a local cache may have some of them only."""

    repo: str
    revision: str
    files: tuple[HubFile, ...]
    complete: bool = True


def list_remote(repo: str, revision: str, settings: HubSettings, downloader: Downloader) -> Snapshot:
    """Returns what the hub has of a model.

    Args:
        repo: ORG/NAME.
        revision: A commit, a branch or a tag.
        settings: The hub.
        downloader: Reads URLs with the hub's token.

    Raises:
        RegistryError: The hub can't be reached, refused, or is no hub.
        IntegrityError: Its answer is not what such an answer has to be.
    """
    url = f"{settings.endpoint}/api/models/{quote(repo, safe='/')}/revision/{quote(revision, safe='')}?blobs=true"
    try:
        answer = parse_object(downloader.text(url, MAX_ANSWER, "application/json"), url)
    except NotFound as fault:
        fault.hint = "is the name right, and the revision? A private model takes a token: HF_TOKEN"
        raise
    except IntegrityError as fault:
        raise RegistryError(
            "the answer is no description of a model",
            where=url,
            why=fault.what,
            hint=f"is {settings.endpoint} a hub (HF_ENDPOINT)? The sign-in page of a proxy answers like this, too",
        ) from None
    commit, siblings = answer.get("sha"), answer.get("siblings")
    if not isinstance(commit, str) or not COMMIT.fullmatch(commit) or not isinstance(siblings, list):
        raise IntegrityError("the hub's description of the model has no commit or no files", where=url)
    if COMMIT.fullmatch(revision) and commit != revision:
        raise IntegrityError(f"the hub answers for the commit {commit}, not for {revision}", where=url)
    if len(siblings) > MAX_FILES:
        raise IntegrityError(f"a model with more than {MAX_FILES} files", where=url)
    return Snapshot(repo, commit, tuple(sorted((_file(each, url) for each in siblings), key=lambda file: file.path)))


def list_cached(repo: str, revision: str, settings: HubSettings) -> Snapshot | None:
    """Returns what the local cache has of a model; None where it has nothing of this revision."""
    folder = cache_folder(repo, settings)
    if folder is None:
        return None
    commit = revision if COMMIT.fullmatch(revision) else _referred(folder, revision)
    top = folder / "snapshots" / commit
    if not commit or not top.is_dir():
        return None
    here = tuple(sorted(_cached(top), key=lambda file: file.path))
    listed = _tree(folder / "trees" / f"{commit}.json", {each.path: each.place for each in here})
    if not here:
        return None
    return Snapshot(repo, commit, listed) if listed else Snapshot(repo, commit, here, complete=False)


def cache_folder(repo: str, settings: HubSettings) -> Path | None:
    """Returns the folder of a model in the local cache: `models--ORG--NAME`."""
    return settings.cache / f"models--{repo.replace('/', '--')}" if settings.cache is not None else None


def file_url(repo: str, commit: str, path: str, settings: HubSettings) -> str:
    """Returns the URL of a file at a commit. The hub may redirect it to another host."""
    return f"{settings.endpoint}/{quote(repo, safe='/')}/resolve/{commit}/{quote(path, safe='/')}"


def _referred(folder: Path, revision: str) -> str:
    """Returns the commit that a branch or tag had when it was downloaded; empty where that is not known."""
    if ".." in revision.split("/"):
        return ""
    try:
        commit = (folder / "refs" / revision).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
    return commit if COMMIT.fullmatch(commit) else ""


def _tree(path: Path, places: Mapping[str, Path | None]) -> tuple[HubFile, ...]:
    """Returns all files of a commit by the list that newer tools keep beside a snapshot; none where it is not there or of another format."""
    try:
        kept = parse_object(read_file(path, MAX_ANSWER))
        files = kept["files"] if kept["format_version"] == 1 else {}
        listed = (
            {
                "rfilename": name,
                "size": each["size"],
                "blobId": each["blob_id"],
                "lfs": {"sha256": each.get("lfs_sha256", "")},
            }
            for name, each in files.items()
        )
        found = [_file(each, str(path)) for each in listed]
    except (CrateError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return ()
    return tuple(sorted((replace(each, place=places.get(each.path)) for each in found), key=lambda file: file.path))


def _cached(top: Path) -> Iterator[HubFile]:
    blobs = top.parent.parent / "blobs"
    for path in top.rglob("*"):
        if path.is_dir():
            continue
        try:
            place = path.resolve(strict=True)
            size = place.stat().st_size
        except OSError:
            raise SourceError(
                "is a link to a file that is not there", where=str(path), hint="download the model again"
            ) from None
        name = path.relative_to(top).as_posix()
        if place.parent != blobs.resolve() and not place.is_relative_to(top.resolve()):
            raise SourceError("is a link that leads out of the hub's cache", where=str(path))
        known = place.name if place.parent == blobs.resolve() else ""
        sha256, blob = (known if pattern.fullmatch(known) else "" for pattern in (_SHA256, COMMIT))
        yield HubFile(_path(name, str(top)), size, sha256, blob, place)


def _file(data: Any, where: str) -> HubFile:
    lfs: Mapping[str, Any] = (data.get("lfs") or {}) if isinstance(data, dict) else {}
    if not isinstance(data, dict) or not isinstance(lfs, dict):
        raise IntegrityError("the hub's list of files is not a list of files", where=where)
    path, size, sha256, blob = data.get("rfilename"), data.get("size"), lfs.get("sha256", ""), data.get("blobId", "")
    if not isinstance(path, str) or not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise IntegrityError("the hub tells a file without a name or a size", where=where)
    if sha256 and (not isinstance(sha256, str) or not _SHA256.fullmatch(sha256)):
        raise IntegrityError(f"the hub has no SHA-256 of {path[:80]!r}", where=where)
    if not sha256 and (not isinstance(blob, str) or not COMMIT.fullmatch(blob)):
        raise IntegrityError(f"the hub has no hash of {path[:80]!r}", where=where)
    return HubFile(_path(path, where), size, sha256, "" if sha256 else blob)


def _path(name: str, where: str) -> str:
    parts = name.split("/")
    if not name.isprintable() or "\\" in name or any(part in ("", ".", "..") for part in parts) or len(name) > 1024:
        raise IntegrityError(f"not a path in a model: {name[:80]!r}", where=where)
    return name
