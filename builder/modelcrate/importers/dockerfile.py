"""The Dockerfile beside a project that `-o dockerfile:DIR` has written, with a user's changes."""

from __future__ import annotations

from pathlib import Path

from modelcrate.importers.imported import Imported
from modelcrate.project.dockerfile import LISTING, edited_project
from modelcrate.project.values import FILE_NAME

TOOL = "Docker"
NAME = "Dockerfile"


def read(folder: Path) -> Imported:
    """Reads the changed ENV, LABEL and USER lines of a folder's Dockerfile.

    Raises:
        UserError: The folder has no such Dockerfile, or another line was changed, which takes an engine to run.
    """
    project, listing = edited_project(folder)
    return Imported(folder / NAME, TOOL, folder, project, {LISTING: listing}, renewed=frozenset({LISTING, FILE_NAME}))
