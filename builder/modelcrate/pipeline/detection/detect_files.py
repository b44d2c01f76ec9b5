"""The files of a folder that may describe its project."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from modelcrate.project.values import FILE_NAME
from modelcrate_layers.errors import SourceError, UserError, unreadable
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.tar.listing import hub_blobs

MAX_FILES = 10_000
"""How many files a folder may have before we give up guessing."""

MAX_DEPTH = 6
"""How many folders down we look."""

_SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages", "venv", "env", "test", "tests", "build", "dist"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was detected: its kind, the path (relative to the folder), and the reason."""

    what: str
    path: Path
    why: str

    def __str__(self) -> str:
        place = f": {self.path}" if self.path != Path() else ": the folder itself" if self.what == "model" else ""
        return f"{self.what}{place} ({self.why})"


def list_files(folder: Path) -> list[Path]:
    """Returns the regular files below a folder, sorted, without hidden and generated folders and virtual environments.

    Links that lead out of the folder are left out, but for those of a Hugging Face cache; links to folders are not followed.

    Raises:
        SourceError: The folder can't be read.
        UserError: It has too many files.
    """
    if not folder.is_dir():
        raise SourceError(
            "no such folder", where=str(folder), hint="name an existing folder; without one it is the current folder"
        )
    found: list[Path] = []
    inside = os.path.realpath(folder)
    blobs = hub_blobs(folder)
    for here, folders, names in os.walk(folder, onerror=_unreadable):
        place = Path(here).relative_to(folder)
        folders[:] = [] if len(place.parts) >= MAX_DEPTH else sorted(f for f in folders if _wanted(Path(here, f)))
        found += [place / name for name in names if _regular(Path(here, name), inside, blobs)]
        if len(found) > MAX_FILES:
            hint = f"write a {FILE_NAME} that names its entry script and models"
            raise UserError(f"more than {MAX_FILES} files; too many to guess from", where=str(folder), hint=hint)
    return sorted(found)


def _unreadable(fault: OSError) -> None:
    raise unreadable(fault, fault.filename, "the folder") from None


def _wanted(folder: Path) -> bool:
    hidden = folder.name.startswith(".") or folder.name.endswith(".egg-info")
    environment = os.path.exists(folder / "pyvenv.cfg")  # Path.exists raises where a folder may not be looked into
    generated = folder.name in _SKIPPED or environment
    return not hidden and not generated and not _holds_hub_blobs(folder)


def _holds_hub_blobs(folder: Path) -> bool:
    """Returns whether a folder has the bytes of a Hugging Face cache; its snapshots link to them by their proper names."""
    return (
        folder.name == "blobs" and folder.parent.name.startswith("models--") and (folder.parent / "snapshots").is_dir()
    )


def _regular(path: Path, inside: str, blobs: str) -> bool:
    try:
        status = path.stat()
    except OSError:  # a link to nothing
        return False
    if not stat.S_ISREG(status.st_mode):
        return False
    if not path.is_symlink():
        return True
    target = Path(os.path.realpath(path))
    return target.is_relative_to(inside) or bool(blobs and target.is_relative_to(blobs))
