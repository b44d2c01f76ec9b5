"""The paths of the files that a script loads whenever it starts, before it is known where the script will be in an image."""

from __future__ import annotations

import sys
from pathlib import Path, PurePosixPath

from modelcrate.pipeline.detection.entry_candidates import MAX_TEXT, read_some
from modelcrate.pipeline.start_check.code_findings import File, Finding, Loaded, PathChange
from modelcrate.pipeline.start_check.python_syntax import parse_for
from modelcrate.pipeline.start_check.running_code import findings_in
from modelcrate.pipeline.start_check.script_names import normal


def loaded_paths(folder: Path, script: Path) -> tuple[PurePosixPath, ...]:
    """Returns the files that a script loads: below AZUREML_MODEL_DIR, relative ones, and those beside it, which begin with `/`.

    Args:
        folder: The project's folder, which stands for `/`.
        script: The script, relative to it.
    """
    return tuple(each.path for each in _findings(folder, script) if isinstance(each, Loaded))


def _findings(folder: Path, script: Path) -> list[Finding]:
    tree = parse_for(read_some(folder / script, MAX_TEXT + 1), sys.version_info.minor).tree
    if tree is None:
        return []
    place = PurePosixPath("/", script)
    return findings_in(File(tree, str(script), place, "", sys.version_info.minor, calls=("init", "run")))


def added_folders(folder: Path, script: Path) -> tuple[Path, ...]:
    """Returns the folders of a project that a script adds to `sys.path` by its own place, relative to the project's folder."""
    added = (each.folder for each in _findings(folder, script) if isinstance(each, PathChange))
    return tuple(Path(normal(each).relative_to("/")) for each in added if each is not None and each.is_absolute())


def loaded_beside(folder: Path, script: Path) -> tuple[Path, ...]:
    """Returns the files of a project that a script loads by its own place (`__file__`), relative to the project's folder."""
    return tuple(Path(each.relative_to("/")) for each in loaded_paths(folder, script) if each.is_absolute())
