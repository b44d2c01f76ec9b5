"""A project file as it is opened: from what is remembered of it, else read."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from modelcrate.project.remembered import decode, encode
from modelcrate.project.values import Project
from modelcrate_layers.atomic import replace
from modelcrate_layers.content import Digest


def open_project(file: Path, home: Path) -> Project:
    """The project of a file. One that was read before is remembered in `home`, by the file's digest; faults are never remembered."""
    place = home / "projects"
    try:
        known = place / f"{Digest.of(file.read_bytes()).hex}.json"
        project = decode(known.read_bytes())
    except OSError:
        project = None
    if project is None:
        from modelcrate.project.reading import read_project

        project = read_project(file)
        with suppress(OSError):  # a home that can't be written makes the next start slower, no more
            place.mkdir(parents=True, exist_ok=True)
            replace(known, encode(project))
    return project
