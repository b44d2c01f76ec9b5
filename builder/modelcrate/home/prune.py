"""The contents of MODELCRATE_HOME, their sizes, and the rules for removing them.

| kind       | content                                                        | removed                        |
|------------|----------------------------------------------------------------|--------------------------------|
| images     | blobs of images with a name in the store                       | with `--images`                |
| layers     | blobs that only entries of the layer cache use, with the entries | by age and size              |
| loose      | blobs without a use, and incomplete files                      | always                         |
| memo       | entries of the layer cache whose blobs are elsewhere           | by age and size                |
| wheels, conda, debs, indexes, uv, models | downloads                        | by age and size                |
| environments | virtual environments of `serve`                              | by age and size                |
| projects, gates, builds, choices and others | cached results                         | by age and size                |
| uploads    | the state of interrupted pushes                                | by age                         |
| unpacked   | unpacked layers of images that were run                        | by age and size; never where a container has them mounted |
| containers | containers that were started                                   | never: they belong to the user |

Age is the time since the last use in the file system: the later of atime and mtime.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from modelcrate.config import Config
from modelcrate.home.folder import open_store
from modelcrate.images.artifact import read_artifact_index_location
from modelcrate.images.manifests import parse_document
from modelcrate_layers.content import Descriptor, Digest, MediaType
from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.records import MARKER
from modelcrate_layers.store import REF_NAME, Layout

MADE = ".made"
"""How the name of the record ends that an unpacked layer was unpacked here."""

_DOWNLOADS = (
    ("wheels", "cache/wheels"),
    ("conda", "cache/conda"),
    ("debs", "cache/debs"),
    ("indexes", "cache/debian"),
    ("uv", "cache/uv"),
    ("environments", "environments"),
    ("models", "cache/hub/blobs"),
    ("models", "cache/hub/headers"),
    ("models", "cache/hub/views"),
)
_RESULTS = (
    ("projects", "projects"),
    ("gates", "gates"),
    ("readings", "readings"),
    ("entries", "entries"),
    ("builds", "builds"),
    ("checked", "checked"),
    ("imports", "imports"),
    ("compatible", "compatible"),
    ("hashes", "hashes"),
    ("soci", "soci"),
)
_NEVER = frozenset({"images", "containers"})
_BY_AGE_ONLY = frozenset({"uploads"})


@dataclass(frozen=True, slots=True)
class StoredItem:
    """Files that are removed together.

    Attributes:
        kind: The kind, as in the table above.
        paths: The files and folders.
        size: Their size in bytes.
        used: The time of the last use in seconds since 1970.
        names: The names of an image.
    """

    kind: str
    paths: tuple[Path, ...] = field(repr=False)
    size: int
    used: float
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PruneRules:
    """The rules for removing items.

    Attributes:
        age: Items that were not used for so many seconds are removed.
        keep: Then items are removed, the longest unused first, until so many bytes are left.
        images: Whether images with names are removed too.
    """

    age: float | None = None
    keep: int | None = None
    images: bool = False


def list_items(config: Config) -> list[StoredItem]:
    """Returns all items of the home."""
    home = config.home
    found = [*_store(config)]
    others = (("uploads", "uploads"), ("containers", "containers"), *_other_results(config.cache))
    for kind, folder in (*_DOWNLOADS, *_RESULTS, *others):
        found += [_item(kind, [path]) for path in _children(home / folder, deep=kind == "indexes")]
    mounted = read_mounts()
    trees = [path for path in _children(config.unpacked, deep=False) if path.is_dir() or path.suffix != MADE]
    free = [path for path in trees if str(path).encode() not in mounted]
    return [*found, *(_item("unpacked", [path, path.with_suffix(MADE)]) for path in free)]


def _other_results(cache: Path) -> Iterator[tuple[str, str]]:
    """Yields the folders of the cache that have no downloads, by their names: whatever is kept there can be found again."""
    downloads = {Path(folder).parts[1] for _, folder in _DOWNLOADS if folder.startswith("cache/")}
    with suppress(OSError):
        for each in sorted(cache.iterdir()):
            if each.is_dir() and each.name not in downloads:
                yield each.name, str(each)


def choose_items(found: Sequence[StoredItem], rules: PruneRules, now: float | None = None) -> list[StoredItem]:
    """Returns the items to remove by the rules, loose ones first, then the longest unused. Pure.

    Args:
        found: All items.
        rules: The rules.
        now: The time in seconds since 1970; by default the current time.
    """
    now = time.time() if now is None else now
    protected = _NEVER - {"images"} if rules.images else _NEVER
    going = [each for each in found if each.kind == "loose"]
    free = (each for each in found if each.kind not in protected and each.kind != "loose")
    candidates = sorted((each for each in free if each.names or each.kind != "images"), key=lambda each: each.used)
    if rules.age is not None:
        going += [each for each in candidates if each.used < now - rules.age]
    if rules.keep is not None:
        left = sum(each.size for each in found) - sum(each.size for each in going)
        for each in candidates:
            if left <= rules.keep:
                break
            if each not in going and each.kind not in _BY_AGE_ONLY:
                going.append(each)
                left -= each.size
    return going


def prune(config: Config, rules: PruneRules) -> list[StoredItem]:
    """Removes items by the rules, and blobs that have no use any more. The caller holds `exclusive_home_lock`.

    Returns:
        The items that were removed.
    """
    going = choose_items(list_items(config), rules)
    _remove(going, config)
    loose = choose_items(list_items(config), PruneRules())
    _remove(loose, config)
    return [*going, *loose]


def _remove(going: Sequence[StoredItem], config: Config) -> None:
    """Removes names before blobs, so that no name is left without its blobs."""
    names = {name for each in going for name in each.names}
    if names:
        open_store(config).forget(names)
    for each in going:
        for path in each.paths:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _store(config: Config) -> Iterator[StoredItem]:
    """Yields the blobs of the store by their use: an image with a name, an entry of the layer cache, or none."""
    root = config.home / "store"
    if not (root / "oci-layout").exists():
        yield from (_item("memo", [path]) for path, _ in config.layer_cache.facts())
        return
    store = Layout.open(root)
    held = [(each, held_digests(store, each)) for each in store.manifests()]
    holders = Counter(digest for _, digests in held for digest in digests)
    needed = set(holders)
    for descriptor, digests in held:
        name = descriptor.annotations.get(REF_NAME, "")
        own = [store.path(digest) for digest in sorted(digests, key=str) if holders[digest] == 1]
        yield _item("images", [path for path in own if path.exists()], (name,) if name else ())
    shared = [store.path(digest) for digest, count in holders.items() if count > 1]
    yield from (_item("images", [path]) for path in shared if path.exists())
    by_blob: dict[Digest, list[Path]] = {}
    for path, layer in config.layer_cache.facts():
        digest = layer.descriptor.digest if layer is not None else None
        if digest is None or digest in needed or not store.path(digest).exists():
            yield _item("memo", [path])
        else:
            by_blob.setdefault(digest, []).append(path)
    yield from (_item("layers", [*facts, store.path(digest)]) for digest, facts in by_blob.items())
    wanted = {store.path(digest) for digest in (*needed, *by_blob)}
    yield from (_item("loose", [path]) for path in _files(root / "blobs") if path not in wanted)


def held_digests(store: Layout, descriptor: Descriptor) -> set[Digest]:
    """Returns every blob and document below a name, and of what is beside it, such as its signatures; of a damaged image, those that can be found."""
    waiting = [descriptor]
    with suppress(CrateError):
        if (beside := read_artifact_index_location(descriptor)) is not None:
            waiting.append(beside)
    held = {each.digest for each in waiting}
    while waiting:
        each = waiting.pop()
        with suppress(CrateError, KeyError, TypeError):
            document = parse_document(store.read(each), each, str(store.root))
            children = [*document.get("manifests", ()), *document.get("layers", ())]
            parsed = [Descriptor.parse(child) for child in [*children, *filter(None, [document.get("config")])]]
            fresh = [child for child in parsed if child.digest not in held]
            held |= {child.digest for child in fresh}
            waiting += [child for child in fresh if child.media_type in (*MediaType.INDEXES, *MediaType.MANIFESTS)]
    return held


def _item(kind: str, paths: Sequence[Path], names: tuple[str, ...] = ()) -> StoredItem:
    size, used = 0, 0.0
    for path in (file for each in paths for file in (_files(each) if each.is_dir() else [each])):
        with suppress(OSError):
            status = os.lstat(path)
            size, used = size + status.st_size, max(used, status.st_mtime, status.st_atime)
    return StoredItem(kind, tuple(paths), size, used, names)


def read_mounts() -> bytes:
    """Returns what is mounted here, with the options, in which an overlay names its folders (proc_pid_mountinfo(5))."""
    with suppress(OSError):
        return Path("/proc/self/mountinfo").read_bytes()
    return b""


def _children(folder: Path, *, deep: bool) -> list[Path]:
    if deep:
        return list(_files(folder))
    return [path for path in sorted(folder.iterdir()) if path.name != MARKER] if folder.is_dir() else []


def _files(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        yield from (Path(place, name) for name in sorted(names))
