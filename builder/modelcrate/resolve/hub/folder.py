"""A hub's model as a folder on this machine: links to files that have the hash of the hub's list or of the lock.

Files come from the local cache of the hub's own tools, else from our cache, else from the hub. Where only a plan or a lock is wanted, large files
of weights stay where they are: of those, which hold no code, the header is enough.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from modelcrate.home.result_cache import ResultCache
from modelcrate.net.download import GIT_BLOB, WORKERS, Download, Downloader
from modelcrate.net.errors import ConnectionFailed
from modelcrate.project.values import HubModel
from modelcrate.resolve.hub.listing import HubFile, Snapshot, file_url, list_cached, list_remote
from modelcrate.resolve.hub.selection import select_files
from modelcrate.resolve.hub.settings import HubCredentials, HubSettings
from modelcrate.resolve.hub_pin import HubPin
from modelcrate.transports.connections import Connections
from modelcrate_layers.atomic import remove, scratch_folder, write_file
from modelcrate_layers.content import CHUNK, Digest, canonical_json
from modelcrate_layers.errors import CrateError, IntegrityError, RegistryError
from modelcrate_layers.frozen import dataclass, field, replace
from modelcrate_layers.layer_cache import settled
from modelcrate_layers.packages.checked import hash_file
from modelcrate_layers.store import as_machine_error
from modelcrate_layers.tar.sources import FileRange
from modelcrate_layers.tar.tree import file as entry_of

SMALL = 16 << 20
"""Bytes up to which a file is fetched for a plan or a lock, too."""

MAX_HEADER = 64 << 20
"""Bytes of a safetensors header; one with ten thousand tensors has about 1 MB."""

FIRST_ATTEMPTS = 2
"""How often a hub is asked that need not answer, because the local cache has the model."""

DEFAULT_REVISION = "main"


@dataclass(frozen=True, slots=True)
class HubFolder:
    """A model of a hub on this machine.

    Attributes:
        path: A folder of links to its files.
        pin: What a lock holds of it.
        places: The files that the links lead to.
        unfetched: Those of them that have a header alone: the rest is still on the hub.
        notices: Sentences about what was taken and what was left out.
    """

    path: Path
    pin: HubPin
    places: frozenset[str] = field(repr=False)
    unfetched: frozenset[str] = frozenset()
    notices: tuple[str, ...] = ()


def provide_model(model: HubModel, pin: HubPin | None, connections: Connections, *, fetch: bool) -> HubFolder:
    """Returns a model as a folder.

    Args:
        model: The model that the project names.
        pin: What a lock pins for it. It counts where it is of the same model, revision and patterns.
        connections: The connections of the run.
        fetch: Whether all files are fetched; else large safetensors files are left on the hub.

    Raises:
        RegistryError: The hub can't be reached or refused, and the local cache has no such model.
        IntegrityError: A file is not what the hub's list or the lock has.
        UserError: The project's patterns choose nothing, or it has to choose.
    """
    environment = connections.config.environment
    settings = HubSettings.of(environment, offline=connections.config.offline)
    return _Provider(model, settings, connections, fetch).provide(pin)


@dataclass(slots=True)
class _Provider:
    """The work on one model. It is not frozen: it holds connections."""

    model: HubModel
    settings: HubSettings
    connections: Connections = field(repr=False)
    fetch: bool = False

    def provide(self, pin: HubPin | None) -> HubFolder:
        wanted = " ".join([self.model.revision or DEFAULT_REVISION, *self.model.files])
        notices: tuple[str, ...] = ()
        if pin is not None and (pin.repo, pin.wanted) == (self.model.repo, wanted):
            snapshot = Snapshot(
                pin.repo, pin.revision, tuple(HubFile(path, size, sha) for path, size, sha in pin.files)
            )
        else:
            snapshot, told = self._listed()
            files, left_out = select_files(snapshot.files, self.model.files, self.model.repo)
            snapshot, notices = replace(snapshot, files=files), (*told, *left_out)
        places = self._places(snapshot)
        heads = {path for path, place in places.items() if place.is_relative_to(self._folder / "headers")}
        pinned = (self._pinned(each, places[each.path]) for each in snapshot.files)
        found = HubPin(self.model.repo, wanted, snapshot.revision, tuple(sorted(pinned)))
        view = self._view({each.path: places[each.path] for each in snapshot.files})
        real = {path: os.path.realpath(place) for path, place in places.items()}
        return HubFolder(view, found, frozenset(real.values()), frozenset(real[path] for path in heads), notices)

    @property
    def _folder(self) -> Path:
        return self.connections.config.cache / "hub"

    def _downloader(self, attempts: int | None = None) -> Downloader:
        credentials = HubCredentials(self.settings.endpoint, self.settings.token)
        return self.connections.downloader_with(credentials, attempts=attempts)

    def _listed(self) -> tuple[Snapshot, tuple[str, ...]]:
        """Returns the files by the hub; by the local cache where the hub is not to be asked, or can't be."""
        repo, revision = self.model.repo, self.model.revision or DEFAULT_REVISION
        here = list_cached(repo, revision, self.settings)
        if self.settings.offline:
            if here is None:
                raise RegistryError(
                    f"{repo} at {revision} is not in the local cache of the hub, and the network must not be used",
                    where=str(self.settings.cache or ""),
                    hint=f"download it where the network is: hf download {repo} --revision {revision}",
                )
            return here, self._told(here, "the network must not be used")
        try:
            downloader = self._downloader(FIRST_ATTEMPTS if here is not None else None)
            return list_remote(repo, revision, self.settings, downloader), ()
        except ConnectionFailed as fault:
            if here is None:
                raise
            return here, self._told(here, fault.what)

    def _told(self, here: Snapshot, why: str) -> tuple[str, ...]:
        which = "" if here.complete else ", which may not be all files of the model"
        named = (self.model.revision or DEFAULT_REVISION) == here.revision
        if named and here.complete:
            return ()
        return (f"{here.repo}: the local cache's files at commit {here.revision}{which}; the hub was not asked: {why}",)

    def _places(self, snapshot: Snapshot) -> dict[str, Path]:
        """Returns where each file is, after what is missing has been fetched."""
        local: Mapping[str, Path | None] = {}
        with suppress(CrateError):
            here = list_cached(snapshot.repo, snapshot.revision, self.settings)
            local = {each.path: each.place for each in here.files} if here is not None else {}
        places: dict[str, Path] = {}
        lacking = []
        for each in snapshot.files:
            candidates = (self._blob(each), local.get(each.path), each.place)
            found = next((place for place in candidates if place is not None and self._is_good(place, each)), None)
            if found is not None:
                places[each.path] = found
            else:
                lacking.append(each)
        return {**places, **self._fetched(lacking, snapshot)}

    def _fetched(self, lacking: list[HubFile], snapshot: Snapshot) -> dict[str, Path]:
        if lacking and self.settings.offline:
            raise RegistryError(
                f"{snapshot.repo}: {lacking[0].path} and {len(lacking) - 1} more files are not here, and the network must not be used"
                if len(lacking) > 1
                else f"{snapshot.repo}: {lacking[0].path} is not here, and the network must not be used",
                hint=f"download it where the network is: hf download {snapshot.repo} --revision {snapshot.revision}",
            )
        downloader = self._downloader()
        heads = {} if self.fetch else self._headers(lacking, snapshot, downloader)
        wanted = [each for each in lacking if each.path not in heads]
        downloads = [
            Download(
                f"{snapshot.repo}: {each.path}",
                (file_url(snapshot.repo, snapshot.revision, each.path, self.settings),),
                self._blob(each),
                each.sha256,
                each.size,
                (GIT_BLOB, each.blob),
            )
            for each in wanted
        ]
        got = downloader.download_all(downloads)
        return {**heads, **{each.path: self._named(path) for each, path in zip(wanted, got, strict=True)}}

    def _named(self, place: Path) -> Path:
        """Gives a file that is named by Git's id the name of its SHA-256, too: a lock has that alone."""
        other = place.with_name(self._sha256(place))
        with as_machine_error(place), suppress(FileExistsError):
            os.link(place, other)
        return other

    def _headers(self, lacking: list[HubFile], snapshot: Snapshot, downloader: Downloader) -> dict[str, Path]:
        """Returns files with the header of large safetensors files, and as long as those; where a server gives no part of a file, none."""
        large = [each for each in lacking if each.size > SMALL and each.sha256 and each.path.endswith(".safetensors")]
        if not large:
            return {}

        def head(each: HubFile) -> Path | None:
            place = self._folder / "headers" / each.sha256
            if place.exists() and place.stat().st_size == each.size:
                return place
            url = file_url(snapshot.repo, snapshot.revision, each.path, self.settings)
            begin = downloader.part(url, 8)
            length = int.from_bytes(begin, "little") if begin is not None and len(begin) == 8 else 0
            if begin is None or not 0 < length <= min(MAX_HEADER, each.size - 8):
                return None
            data = downloader.part(url, 8 + length)
            if data is None:
                return None
            with as_machine_error(place.parent):
                place.parent.mkdir(parents=True, exist_ok=True)
                write_file(place, data)
                os.truncate(place, each.size)  # no room on the disk is taken for what is not there
            return place

        with ThreadPoolExecutor(WORKERS) as pool:
            found = zip(large, pool.map(head, large), strict=True)
            return {each.path: place for each, place in found if place is not None}

    def _blob(self, each: HubFile) -> Path:
        return self._folder / "blobs" / (each.sha256 or each.blob or "unknown")

    def _is_good(self, place: Path, wanted: HubFile) -> bool:
        """Returns whether a file is here with the right bytes. A damaged one of our own cache is removed.

        A large one is hashed when the image is built, and not for a plan or a lock.
        """
        try:
            status = place.stat()
        except OSError:
            return False
        own = place.is_relative_to(self._folder)
        good = status.st_size == wanted.size
        if good and (self.fetch or wanted.size <= SMALL):
            good = wanted.sha256 in ("", self._sha256(place)) and wanted.blob in ("", _git_blob(place))
        if not good and own:
            with as_machine_error(place):
                remove(place)
        if not good and not own and wanted.place is not None and self.settings.offline:
            raise IntegrityError("is damaged: it does not have the hash that it is named by", where=str(place))
        return good

    def _pinned(self, each: HubFile, place: Path) -> tuple[str, int, str]:
        return each.path, each.size, each.sha256 or self._sha256(place)

    def _sha256(self, place: Path) -> str:
        """Returns the SHA-256 of a file, which is read once, as long as it stays as it is."""
        source = FileRange.of_file(str(place))
        kept, question = ResultCache(self.connections.config.home / "hashes"), [source.path, list(source.stamp)]
        if (known := kept.get(question)) is not None:
            return known.decode()
        _, found = hash_file(place)
        if settled([entry_of(b"x", source)]):
            kept.put(question, found.encode())
        return found

    def _view(self, files: Mapping[str, Path]) -> Path:
        """Returns a folder with links to these files; the same for the same files."""
        name = self.model.repo.rpartition("/")[2]
        links = sorted((path, os.path.realpath(place)) for path, place in files.items())
        top = self._folder / "views" / Digest.of(canonical_json([name, links])).hex[:32]
        if _links(top / name) == links:
            return top / name
        with as_machine_error(top):
            remove(top)
            self._folder.mkdir(parents=True, exist_ok=True)
        with as_machine_error(top), scratch_folder(self._folder) as scratch:
            for path, place in links:
                link = scratch / "view" / name / path
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(place)
            top.parent.mkdir(parents=True, exist_ok=True)
            with suppress(OSError):  # another build made it meanwhile
                os.rename(scratch / "view", top)
        return top / name


def _links(folder: Path) -> list[tuple[str, str | None]]:
    """Returns what is in a folder, sorted: where each link leads, and None for what is no link."""
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted((str(path.relative_to(folder)), os.readlink(path) if path.is_symlink() else None) for path in found)


def _git_blob(place: Path) -> str:
    """Returns the id that Git gives a file: SHA-1 over a header and its bytes."""
    hashed = hashlib.sha1(b"blob %d\0" % place.stat().st_size, usedforsecurity=False)
    with place.open("rb") as handle:
        while chunk := handle.read(CHUNK):
            hashed.update(chunk)
    return hashed.hexdigest()
