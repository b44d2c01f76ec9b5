"""Files that declare dependencies in a way that is not read, each with the file to name instead."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from modelcrate.project.values import Dependencies
from modelcrate_layers.errors import UserError

_INSTEAD = {
    "Pipfile": "name its lock: run pipenv lock, then dependencies: Pipfile.lock",
    "pixi.toml": "name its lock: run pixi lock, then dependencies: pixi.lock",
    "setup.py": "it would have to be run; name a requirements file or a pyproject.toml",
    "setup.cfg": "name a requirements file or a pyproject.toml",
}


def read(path: Path, needs: Dependencies) -> NoReturn:
    """Refuses the file.

    Raises:
        UserError: Always, with the way out.
    """
    hint = _INSTEAD.get(
        path.name,
        "name a requirements file, a pyproject.toml, an environment.yml, or a lock of uv, pip, Poetry, PDM, pixi or Pipenv",
    )
    if path.name.startswith("conda-lock"):
        hint = "name the environment.yml that it was made from"
    elif path.name.endswith(".py.lock"):
        script = path.name.removesuffix(".lock")
        hint = f"uv export --script {script} --format pylock.toml -o pylock.toml, and name that"
    raise UserError("is not read for dependencies", where=str(path), hint=hint)
