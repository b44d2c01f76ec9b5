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
    hint = _INSTEAD.get(path.name, "name the environment.yml that it was made from")
    raise UserError("is not read for dependencies", where=str(path), hint=hint)
