"""A project's own modules that only a model's pickle needs: they go with the script that was generated for the model."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from modelcrate.modelfiles.framework_reading import ModelDescription
from modelcrate_layers.errors import UserError, unreadable
from modelcrate_layers.named_file import MAX_NAMED, read_named_file

MAX_OWN = 1000
"""Files of a module that are taken."""


def own_modules(described: ModelDescription, place: Path) -> dict[str, Path]:
    """Returns the project's own modules that a model's pickles name, by their names: files and packages in the project's folder."""
    tops = dict.fromkeys(name.partition(".")[0] for each in described.pickles for name in each.modules)
    found: dict[str, Path] = {}
    for name in (name for name in tops if name.isidentifier() and name not in sys.stdlib_module_names):
        places = (above / each for above in (place, place / "src") for each in (name, f"{name}.py"))
        module = next(
            (each for each in places if (each.suffix == ".py" and each.is_file()) or any(each.glob("*.py"))), None
        )
        if module is not None and module.resolve().is_relative_to(place.resolve()):
            found[name] = module
    return found


def read_module(module: Path) -> Iterator[tuple[str, bytes]]:
    """Reads a module or package; yields its files, by their paths from the folder that it is in.

    Raises:
        UserError: They are too many.
        SourceError: One can't be read.
    """
    paths = (
        [module]
        if module.is_file()
        else sorted(each for each in module.rglob("*") if each.is_file() and not each.is_symlink())
    )
    paths = [path for path in paths if "__pycache__" not in path.parts]
    if len(paths) > MAX_OWN:
        raise UserError(
            f"has {len(paths)} files, and a script without a project takes at most {MAX_OWN} along",
            where=str(module),
            hint="write an entry script, and name it with its folder: entry: {source: ., script: score.py}",
        )
    for path in paths:
        try:
            yield str(path.relative_to(module.parent)), read_named_file(path, MAX_NAMED)
        except OSError as fault:
            raise unreadable(fault, path) from None
