"""A project file as it is opened: from what is remembered of it, else read."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from modelcrate.home.result_cache import ResultCache
from modelcrate.project.document import MAX_BYTES
from modelcrate.project.remembered import decode, encode
from modelcrate.project.values import Project
from modelcrate_layers.content import Digest
from modelcrate_layers.named_file import read_named_file


def open_project(file: Path, home: Path) -> Project:
    """Returns the project of a file. One that was read before is remembered in `home` by the file's digest; faults are not remembered."""
    opened = ResultCache(home / "projects")
    digest = ""
    with suppress(OSError):  # the reader below says what is wrong
        digest = str(Digest.of(read_named_file(file, MAX_BYTES)))
    known = opened.get(digest) if digest else None
    project = decode(known) if known is not None else None
    if project is None:
        from modelcrate.project.reading import read_project

        project = read_project(file)
        if digest:
            opened.put(digest, encode(project))
    return project
