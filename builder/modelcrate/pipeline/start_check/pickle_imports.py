"""The modules that pickles name, held to what the image has: loading a pickle imports them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from modelcrate.modelfiles.framework_reading import PickleNames
from modelcrate.pipeline.detection.entry_candidates import MAX_TEXT, read_some
from modelcrate.pipeline.start_check.import_graph import Sources
from modelcrate.pipeline.start_check.known_modules import KnownModules
from modelcrate.pipeline.start_check.near_modules import NearModules
from modelcrate.resolve.import_names import proposal
from modelcrate_layers.errors import UserError

_OF_PICKLES = frozenset({"__main__", "__builtin__", "copy_reg", "__torch__", "?"})
"""Modules that pickles name and that are no packages: the program's own, and names of Python 2 that are translated."""


def _program_faults(pickles: Sequence[PickleNames], sources: Sources) -> Iterator[UserError]:
    """Yields an error for each pickle with classes of the program that made it, unless code of the project is about such names."""
    found = [(each.where, [name for name in each.names if name.startswith("__main__.")]) for each in pickles]
    if not any(names for _, names in found) or any(map(_is_about_main, sources.files.values())):
        return
    for where, names in found:
        if names:
            yield UserError(
                f"the model names {', '.join(names[:5])}, which only the program has that made it",
                where=where,
                why="__main__ is the server in the image, and loading the pickle looks there",
                hint="put the class into a module of its own beside the entry script, import it from there where the model is made, "
                "and save the model anew; or set it before loading: import __main__; __main__.NAME = NAME",
            )


def _is_about_main(file: Path) -> bool:
    """Returns whether a Python file sets names of `__main__`, or finds the classes of pickles itself."""
    if file.suffix != ".py":
        return False
    text = read_some(file, MAX_TEXT).decode("utf-8", "replace")
    return re.search(r"__main__|find_class", re.sub(r"__name__\s*==\s*(['\"])__main__\1", "", text)) is not None


def pickle_faults(pickles: Sequence[PickleNames], known: KnownModules, near: NearModules) -> Iterator[UserError]:
    """Yields an error for each pickle with modules that the image lacks.

    Args:
        pickles: What the models' pickles name.
        known: The modules of the image.
        near: Where modules of the project are looked for.
    """
    yield from _program_faults(pickles, known.sources)
    for pickle in pickles:
        versions = dict(pickle.versions)
        missing: dict[str, str] = {}
        for module in pickle.modules:
            if module.partition(".")[0] not in _OF_PICKLES and not known.has(module):
                missing.setdefault(module.partition(".")[0], module)
        for top, module in list(missing.items()):
            if (place := near.place(module)) is not None:
                del missing[top]
                yield UserError(
                    f"the model names {module}, which is at {place} and can't be imported in the image",
                    where=pickle.where,
                    why="loading the pickle imports it",
                    hint=near.way_out(place),
                )
        if missing:
            packages = [proposal(module) for module in missing.values()]
            lines = [f"{name}=={versions[name]}" if name in versions else name for name in dict.fromkeys(packages)]
            yield UserError(
                f"the model names {', '.join(missing)}, and nothing in the image has {'it' if len(missing) == 1 else 'them'}",
                where=pickle.where,
                why=f"loading the pickle imports {'it' if len(missing) == 1 else 'them'}",
                hint=f"add {', '.join(lines)} to the dependencies; a module of your own goes beside the entry script",
            )
