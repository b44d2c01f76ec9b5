"""Existing bases: an image or a root file system, pinned by digest, with the Python that is in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path

from modelcrate.events import Emit, ignore_event
from modelcrate.images.image import MAX_IMAGE_LAYERS, ImageLayer
from modelcrate.images.reading import Found
from modelcrate.project.values import (
    DockerArchiveBase,
    LayoutBase,
    OciArchiveBase,
    RegistryBase,
    RootfsBase,
    ScratchBase,
)
from modelcrate.resolve.lock import Pins
from modelcrate.resolve.resolved_base import ReceivedScans, ResolvedBase, no_scans
from modelcrate.transports import oci
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Digest, Platform
from modelcrate_layers.errors import LockedError, RegistryError, SourceError, UserError, placed
from modelcrate_layers.frozen import replace

ExistingBase = DockerArchiveBase | LayoutBase | OciArchiveBase | RegistryBase | RootfsBase | ScratchBase

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def resolve_existing(
    base: ExistingBase,
    platform: Platform,
    python: str | None,
    folder: Path,
    connections: Connections,
    pins: Pins | None = None,
    emit: Emit = ignore_event,
    received: ReceivedScans = no_scans,
    *,
    python_needed: bool = True,
) -> ResolvedBase:
    """Resolves a base that exists: its layers, and the Python and C library in them.

    Layers on this machine are scanned in any case. Of a registry's only those are fetched in which the Python has to be looked for.

    Args:
        base: The base of the project.
        platform: The platform of the image.
        python: The version that the project requires, major and minor.
        folder: The folder that relative paths start from.
        connections: The connections to registries.
        pins: Those of the lock: the base is taken as it was then.
        emit: Receives the events.
        received: Returns scans of a registry's layers that are with images of others: those layers are not fetched.
        python_needed: Whether anything in the image is to run on the base's Python.
    """
    path = getattr(base, "path", None)
    with placed(str(folder / path) if path else f"base {base}"), _explained(base):
        if isinstance(base, ScratchBase):
            config = {"config": {"Env": [f"PATH={_PATH}"]}}
            return ResolvedBase("scratch", config, interpreter=str(base.interpreter or ""), python=python or "")
        from modelcrate.resolve.find_python import Wanted, find_python, look_at, look_at_remote

        cache = connections.config.cache
        digest = pins.base if pins is not None else None
        below = _read(base, platform, folder, connections, digest, emit)
        _check_layer_count(below)
        wanted = Wanted(base.interpreter, python)
        if not isinstance(base, RegistryBase):
            look = look_at(below.layers, cache, emit, held=not isinstance(base, RootfsBase))
            return _with_sizes(find_python(below, wanted, look, emit if python_needed else ignore_event), cache)
        if pins is not None and (known := pins.base_python) is not None:
            return _with_sizes(replace(below, **{name: getattr(known, name) for name in known.__match_args__}), cache)
        if not python_needed:
            return _with_sizes(below, cache)
        others = lru_cache(1)(partial(received, platform, below.layers))
        return _with_sizes(find_python(below, wanted, look_at_remote(below, wanted, cache, emit, others), emit), cache)


def _with_sizes(below: ResolvedBase, cache: Path) -> ResolvedBase:
    """Returns the base with the sizes of the tars of those layers that were scanned: a manifest has none, and an archive needs them."""
    from modelcrate.resolve.scan import recall

    def sized(each: ImageLayer) -> ImageLayer:
        if each.layer.tar_size >= 0 or (scanned := recall(each, cache)) is None:
            return each
        return replace(each, layer=replace(each.layer, tar_size=scanned.tar_size))

    return replace(below, layers=tuple(map(sized, below.layers)))


@contextmanager
def _explained(base: ExistingBase) -> Iterator[None]:
    """Adds to an error of a registry what a base means that is one word."""
    try:
        yield
    except RegistryError as fault:
        if isinstance(base, RegistryBase) and "/" not in base.reference:
            meant = f"{base.reference!r} is an image on Docker Hub"
            also = "debian is made by modelcrate; files have their kind before them: oci:DIR, docker-archive:FILE, rootfs:FILE"
            fault.hint = "\n".join(filter(None, (fault.hint, f"as a base, {meant}; {also}")))
        raise


def _check_layer_count(below: ResolvedBase) -> None:
    """Refuses a base on which no layer of ours has room, before its layers are fetched or scanned."""
    if len(below.layers) >= MAX_IMAGE_LAYERS:
        raise UserError(
            f"has {len(below.layers)} layers, and container engines take at most {MAX_IMAGE_LAYERS}, with those that are added",
            hint="take a base with fewer layers, or flatten it: `FROM scratch` and `COPY --from=BASE / /` make one layer of it",
        )


def _read(
    base: LayoutBase | OciArchiveBase | DockerArchiveBase | RegistryBase | RootfsBase,
    platform: Platform,
    folder: Path,
    connections: Connections,
    digest: Digest | None,
    emit: Emit,
) -> ResolvedBase:
    """Reads a base's config and layers. One that was locked as another digest is a LockedError."""
    if isinstance(base, RootfsBase):
        from modelcrate.resolve.rootfs import read_rootfs

        layer = read_rootfs(folder / base.path, connections.config, emit)
        _pinned(str(base), digest, layer.layer.diff_id)
        config = {"config": {"Env": [f"PATH={_PATH}", "LANG=C.UTF-8"]}}
        return ResolvedBase(str(base), config, (layer,), digest=layer.layer.diff_id)
    try:
        image = find_base(base, folder, connections, digest).image(platform)
    except SourceError as fault:
        if not fault.hint or "--platform" in fault.hint:  # a base has no such option
            fault.hint = f"take a base for {platform}, or build for what it has: platforms: [...]"
        raise
    _pinned(str(base), digest, image.digest)
    reference = str(base) if isinstance(base, RegistryBase) else ""
    return ResolvedBase(str(base), image.settings, image.layers, digest=image.digest, reference=reference)


def find_base(
    base: DockerArchiveBase | LayoutBase | OciArchiveBase | RegistryBase,
    folder: Path,
    connections: Connections,
    digest: Digest | None = None,
) -> Found:
    """Finds the image that a project names as its base; in a registry, the one with this digest."""
    match base:
        case LayoutBase():
            return oci.find(folder / base.path, base.tag)
        case OciArchiveBase():
            from modelcrate.transports import oci_archive

            return oci_archive.find(*_file(folder, base.path, base.tag))
        case DockerArchiveBase():
            from modelcrate.transports import docker_archive

            return docker_archive.find(*_file(folder, base.path, base.image))
        case RegistryBase():
            from modelcrate.images.reference import Reference
            from modelcrate.transports import registry, store

            if connections.config.offline and digest is not None:
                held = store.find(str(digest), connections.config)  # a bundle may have brought it
                if held is not None:
                    return held
            return registry.find(Reference.parse(base.reference), connections, digest)


def _file(folder: Path, path: Path, image: str | None) -> tuple[Path, str | None]:
    """Returns an archive and the image in it; a file whose own name has the colon is taken whole."""
    with_colon = folder / f"{path}:{image}"
    return (with_colon, None) if image and with_colon.exists() else (folder / path, image)


def _pinned(name: str, wanted: Digest | None, found: Digest) -> None:
    if wanted is not None and wanted != found:
        raise LockedError(
            f"the base {name} has changed: locked {wanted}, found {found}",
            hint="put the old one back, or lock again: modelcrate lock",
        )
