"""The paths of the files that a script loads whenever it starts, before it is known where the script will be in an image."""

from __future__ import annotations

import sys
from pathlib import Path, PurePosixPath

from modelcrate.pipeline.code_findings import File, Loaded
from modelcrate.pipeline.entry_candidates import MAX_TEXT, read_some
from modelcrate.pipeline.python_syntax import parse_for
from modelcrate.pipeline.running_code import findings_in


def loaded_paths(folder: Path, script: Path) -> tuple[PurePosixPath, ...]:
    """Returns the files that a script loads: below AZUREML_MODEL_DIR, relative ones, and those beside it, which begin with `/`.

    Args:
        folder: The project's folder, which stands for `/`.
        script: The script, relative to it.
    """
    tree = parse_for(read_some(folder / script, MAX_TEXT + 1), sys.version_info.minor).tree
    if tree is None:
        return ()
    file = File(tree, str(script), PurePosixPath("/", script), "", sys.version_info.minor, calls=("init", "run"))
    return tuple(each.path for each in findings_in(file) if isinstance(each, Loaded))


def loaded_beside(folder: Path, script: Path) -> tuple[Path, ...]:
    """Returns the files of a project that a script loads by its own place (`__file__`), relative to the project's folder."""
    return tuple(Path(each.relative_to("/")) for each in loaded_paths(folder, script) if each.is_absolute())
