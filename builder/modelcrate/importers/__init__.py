"""The configurations of other tools, as projects: one module a kind of file, and the table that decides between them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, cast

from modelcrate.importers.imported import Imported
from modelcrate.workspace.backend import WorkspaceBackend
from modelcrate_layers.errors import SourceError, UserError


class Format(Protocol):
    """The interface of the modules here that read one kind of file."""

    TOOL: str
    """Whose file it is."""
    NAMES: tuple[str, ...]
    """What such a file is called."""

    def recognises(self, data: Mapping[str, object]) -> bool:
        """Returns whether a mapping in YAML is of this kind, for a file with another name."""

    def read(self, file: Path) -> Imported:
        """Reads a file of this kind."""


_FORMATS = ("cog", "bento", "kitfile", "mlflow", "truss", "modelfile", "azure_v1")
"""The modules, in the order in which they are asked about a file whose name doesn't say what it is; Azure's YAML comes after them."""

USUAL = "config.yaml"
"""What a Truss's configuration is called, and many others: what stands in it decides."""

KNOWN = (
    "cog.yaml (Cog), bentofile.yaml or pyproject.toml (BentoML), Kitfile (KitOps), config.yaml (Truss), MLmodel (MLflow), Modelfile (Ollama), "
    "the YAML of Azure's CLI v2, the inferenceconfig.json of its v1, and Dockerfile (of modelcrate's own -o dockerfile:DIR)"
)
"""The kinds of files, for messages."""


def read_configuration(source: Path, workspace: Callable[[], WorkspaceBackend], folder: Path | None = None) -> Imported:
    """Reads the configuration of another tool as a project.

    Args:
        source: The file, or a folder with exactly one of a known name.
        workspace: Opens the workspace in which `azureml:NAME:VERSION` is looked for.
        folder: The folder of the project; None for that of the file.

    Raises:
        SourceError: A file can't be read.
        UserError: It is of no known kind, has faults, or says nothing that can become an image.
    """
    from modelcrate.importers import azure, bento, dockerfile
    from modelcrate.importers.modelfile import is_modelfile
    from modelcrate.importers.reading import load_mapping

    if source.name == dockerfile.NAME and (folder is not None or source.parent != Path() or not source.is_dir()):
        return dockerfile.read(folder if folder is not None else source.parent)
    formats = [cast("Format", importlib.import_module(f"{__name__}.{name}")) for name in _FORMATS]
    file = _file_of(source, formats)
    found = next((each for each in formats if file.name in each.NAMES), None)
    if file.name == bento.PYPROJECT:
        found = cast("Format", bento)
    if found is None and is_modelfile(file):
        found = next(each for each in formats if "Modelfile" in each.NAMES)
    if found is None:
        data = load_mapping(file)
        found = next((each for each in formats if each.recognises(data)), None)
        if found is None and azure.recognises(data):
            return azure.read(file, workspace(), folder)
        if found is None:
            keys = ", ".join(str(each)[:40] for each in list(data)[:6])
            raise UserError(f"is of no known kind: it has the keys {keys}", where=str(file), hint=f"known are {KNOWN}")
    imported = found.read(file)
    if folder is not None and folder.resolve() != imported.folder.resolve():
        hint = f"leave out the folder: the project file is written into {imported.folder}"
        raise UserError(f"is no project of {folder}", where=str(file), hint=hint)
    return imported


def _file_of(source: Path, formats: list[Format]) -> Path:
    """Returns the file itself; for a folder, the one in it that has a known name."""
    if not source.is_dir():
        return source
    from modelcrate.importers import bento

    names = [name for each in formats for name in each.NAMES if (source / name).is_file()]
    if not names and (source / USUAL).is_file():
        return source / USUAL
    if len(names) == 1:
        return source / names[0]
    project = source / bento.PYPROJECT
    if not names and project.is_file() and bento.section_of(project) is not None:
        return project
    what = f"has {', '.join(names)}" if names else "has no configuration of a known name"
    raise SourceError(what, where=str(source), hint=f"name the file: known are {KNOWN}")
