"""The YAML of Azure's CLI v2: an online deployment, a model or an environment, with the files that it refers to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from modelcrate.azureml.v2_projects import V2Project, read_project
from modelcrate.importers.imported import Imported
from modelcrate.project.azure_v2_keys import kind
from modelcrate.workspace.backend import WorkspaceBackend

TOOL = "Azure Machine Learning"


def recognises(data: Mapping[str, object]) -> bool:
    """Returns whether a mapping is one that Azure's CLI reads."""
    return bool(kind(data))


def read(file: Path, workspace: WorkspaceBackend, folder: Path | None) -> Imported:
    """Reads a YAML file and what it refers to.

    Args:
        file: The file.
        workspace: Where `azureml:NAME:VERSION` is looked for.
        folder: The folder of the project; None for the deepest one with all that it needs.

    Raises:
        SourceError: A file is not there.
        UserError: It has faults, or refers to what only the cloud has.
    """
    return as_imported(read_project(file, workspace, folder))


def as_imported(found: V2Project) -> Imported:
    """Returns what was read as all other tools' files are."""
    made, read = found.made, found.deployment
    return Imported(read.file, TOOL, found.folder, made.project, not_taken=read.not_taken, notices=made.notices)
