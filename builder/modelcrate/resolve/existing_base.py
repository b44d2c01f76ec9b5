"""What lies below our layers: an image or a root file system that exists, pinned by digest, with what it says about its Python."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath

from modelcrate.events import Emit, silent
from modelcrate.home.settings import Settings
from modelcrate.images.image import Image
from modelcrate.images.image_config import environment
from modelcrate.images.reading import Found
from modelcrate.project.values import (
    DockerArchiveBase,
    LayoutBase,
    OciArchiveBase,
    RegistryBase,
    RootfsBase,
    ScratchBase,
)
from modelcrate.resolve.resolved_base import ResolvedBase
from modelcrate.resolve.rootfs import read_rootfs
from modelcrate.resolve.scan import scan
from modelcrate.transports import archive_reader, layout_reader
from modelcrate_layers.content import Digest, Platform
from modelcrate_layers.errors import LockedError, UserError, placed

ExistingBase = DockerArchiveBase | LayoutBase | OciArchiveBase | RegistryBase | RootfsBase | ScratchBase

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def resolve_existing(
    base: ExistingBase,
    platform: Platform,
    python: str | None,
    folder: Path,
    settings: Settings,
    digest: Digest | None = None,
    emit: Emit = silent,
) -> ResolvedBase:
    """The base as it is now, or as it was when it was locked under `digest`; a relative path is below `folder`."""
    path = getattr(base, "path", None)
    with placed(str(folder / path) if path else f"base {base}"):
        return _foreign(base, platform, python, folder, settings, digest, emit)


def _foreign(
    base: ExistingBase,
    platform: Platform,
    python: str | None,
    folder: Path,
    settings: Settings,
    digest: Digest | None,
    emit: Emit,
) -> ResolvedBase:
    if isinstance(base, ScratchBase):
        return ResolvedBase(
            "scratch",
            {"config": {"Env": [f"PATH={_PATH}"]}},
            interpreter=str(base.interpreter or ""),
            python=python or "",
        )
    if isinstance(base, RootfsBase):
        layer = read_rootfs(folder / base.path, settings, emit)
        _pinned(str(base), digest, layer.layer.diff_id)
        config = {"config": {"Env": [f"PATH={_PATH}", "LANG=C.UTF-8"]}}
        return _with_python(
            ResolvedBase(str(base), config, (layer,), digest=layer.layer.diff_id),
            base.interpreter,
            python,
            settings,
            emit,
        )
    image = find_base(base, folder, settings, digest).image(platform)
    _check_platform(str(base), image, platform)
    _pinned(str(base), digest, image.digest)
    remote = isinstance(base, RegistryBase)
    reference = str(base) if remote else ""
    below = ResolvedBase(str(base), image.settings, image.layers, digest=image.digest, reference=reference)
    return _with_python(below, base.interpreter, python, settings, emit, look=not remote)


def find_base(
    base: DockerArchiveBase | LayoutBase | OciArchiveBase | RegistryBase,
    folder: Path,
    settings: Settings,
    digest: Digest | None = None,
) -> Found:
    """The image that a project names as its base; in a registry, what it was under `digest`."""
    match base:
        case LayoutBase():
            return layout_reader.find(folder / base.path, base.tag)
        case OciArchiveBase():
            return archive_reader.find_oci(*_file(folder, base.path, base.tag))
        case DockerArchiveBase():
            return archive_reader.find_docker(*_file(folder, base.path, base.image))
        case RegistryBase():
            from modelcrate.transports import registry_reader

            return registry_reader.find(base.reference, settings, digest)


def _file(folder: Path, path: Path, image: str | None) -> tuple[Path, str | None]:
    """Returns an archive and the image in it; a file whose own name has the colon is taken whole."""
    whole = folder / f"{path}:{image}"
    return (whole, None) if image and whole.exists() else (folder / path, image)


def _with_python(
    below: ResolvedBase,
    given: PurePosixPath | None,
    python: str | None,
    settings: Settings,
    emit: Emit,
    look: bool = True,
) -> ResolvedBase:
    """The base's Python: the one that the project names, the one that the base's environment tells of, or one that is seen in it.

    A base on this machine is looked through in any case: what it claims and where its members lead is checked then.
    """
    seen = [path for layer in below.layers for path in scan(layer, settings.cache, emit).interpreters] if look else []
    if given is not None:
        version = re.search(r"python(3\.[0-9]+)$", str(given))
        return _python(below, str(given), python or (version[1] if version else ""))
    told = re.match(r"(3\.[0-9]+)\b", environment(below.config).get("PYTHON_VERSION", ""))
    if told:
        return _python(below, f"/usr/local/bin/python{told[1]}", told[1], python)
    fitting = [path for path in seen if python is None or path.endswith(f"python{python}")]
    if fitting:
        return _python(below, fitting[0], fitting[0].rpartition("python")[2])
    if seen and python is not None:
        return _python(below, seen[0], seen[0].rpartition("python")[2], python)
    return below


def _python(below: ResolvedBase, interpreter: str, version: str, wanted: str | None = None) -> ResolvedBase:
    if wanted is not None and wanted != version:
        raise UserError(
            f"the project asks for Python {wanted}, and the base {below.name} brings {version}",
            hint="change one of them; wheels are chosen for one Python",
        )
    return replace(below, interpreter=interpreter, python=version)


def _check_platform(name: str, image: Image, platform: Platform) -> None:
    if not platform.matches(image.settings):
        have = f"{image.settings.get('os')}/{image.settings.get('architecture')}"
        raise UserError(f"the base {name} is for {have}, not for {platform}")


def _pinned(name: str, wanted: Digest | None, found: Digest) -> None:
    if wanted is not None and wanted != found:
        raise LockedError(
            f"the base {name} has changed: locked {wanted}, found {found}",
            hint="put the old one back, or lock again: modelcrate lock",
        )
