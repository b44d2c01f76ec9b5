"""The project's own package as a wheel, for `dependencies: {project: true}`. uv builds it once for each state of its files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from modelcrate.resolve.declared.toml_files import read_toml
from modelcrate.resolve.index import Index
from modelcrate.resolve.pinned import PinnedWheel
from modelcrate.resolve.uv import Uv
from modelcrate_layers.atomic import scratch_folder
from modelcrate_layers.content import CHUNK
from modelcrate_layers.errors import UserError
from modelcrate_layers.store import as_machine_error

EPOCH = "315532800"
"""The time in the wheel (1980-01-01), so that the same files give the same wheel (reproducible-builds.org)."""

MAX_FILES = 20_000
"""Files of a project whose package is built."""

_LEFT_OUT = frozenset({"__pycache__", "node_modules", "build", "dist", "venv", "env"})


def build_project_wheel(folder: Path, cache: Path, uv: Uv, index: Index) -> PinnedWheel:
    """Returns the wheel of the package in a folder, with its place in the cache as its URL.

    Raises:
        UserError: The folder has no package, it can't be built, or its wheel is for one platform only.
    """
    from packaging.utils import parse_wheel_filename

    data = read_toml(folder / "pyproject.toml")
    if "build-system" not in data and "project" not in data:
        raise UserError(
            "has no [project] and no [build-system], so there is no package to build",
            where=str(folder),
            hint="leave `project: true` out, or add [project] with name and version",
        )
    place = cache / "projects" / _digest(folder)
    if not list(place.glob("*.whl")):
        with scratch_folder() as scratch:
            uv.build(folder, scratch, index, EPOCH)
            with as_machine_error(place):
                place.mkdir(parents=True, exist_ok=True)
                for wheel in scratch.glob("*.whl"):
                    os.replace(_beside(wheel, place), place / wheel.name)
    (path,) = place.glob("*.whl")
    name, version, _, tags = parse_wheel_filename(path.name)
    if not any(tag.platform == "any" for tag in tags):
        raise UserError(
            f"the project's own package is for one platform only: {path.name}",
            where=str(folder),
            why="it was built on this machine, and the image is for another",
            hint="build it where the image runs, and name the folder of the wheel as wheelhouse",
        )
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return PinnedWheel(name, str(version), path.name, sha256, path.stat().st_size, (path.absolute().as_uri(),))


def _beside(wheel: Path, place: Path) -> Path:
    """Copies a file to the file system that it is to be put on, so that putting it there is one step."""
    import shutil

    temporary = place / f".{wheel.name}.{os.getpid()}"
    shutil.copyfile(wheel, temporary)
    return temporary


def _digest(folder: Path) -> str:
    """Returns a digest of all files that a build may look at."""
    hashed = hashlib.sha256()
    for path in _files(folder):
        hashed.update(os.fsencode(path.relative_to(folder)) + b"\0")
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                hashed.update(chunk)
        hashed.update(b"\0")
    return hashed.hexdigest()[:32]


def _files(folder: Path) -> Iterator[Path]:
    count = 0
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and name not in _LEFT_OUT and not name.endswith(".egg-info")
        )
        for name in sorted(names):
            path = Path(here, name)
            if (
                path.suffix in (".py", ".toml", ".cfg", ".in", ".md", ".rst", ".txt", ".json", ".typed")
                or name == "LICENSE"
            ):
                count += 1
                if count > MAX_FILES:
                    raise UserError(
                        f"has more than {MAX_FILES} files", where=str(folder), hint="build the wheel yourself"
                    )
                if path.is_file():
                    yield path
