"""What goes into the image with a detected entry script: as little as holds all that it, and the pickles, import of the project."""

from __future__ import annotations

import os
import posixpath
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from modelcrate.pipeline.detection.entry_candidates import Script
from modelcrate.project.contracts import APP_ROOT
from modelcrate.project.values import Entry
from modelcrate_layers.frozen import dataclass

_SOURCES = Path("src")
"""The folder of the "src layout", which is on nobody's path as long as the project is not installed."""


@dataclass(frozen=True, slots=True)
class Extent:
    """The entry with its source folder, the folders of it that have to be on Python's path, and the reason in words."""

    entry: Entry
    path: tuple[Path, ...]
    why: str

    def variables(self, name: str) -> dict[str, str]:
        """Returns the variables of the image that put the folders on Python's path, where the project has this name."""
        source = self.entry.source
        if source is None or not self.path:
            return {}
        places = (
            posixpath.normpath(f"{APP_ROOT}/{source.name or name}/{each.relative_to(source).as_posix()}")
            for each in self.path
        )
        return {"PYTHONPATH": ":".join(places)}


def find_extent(
    script: Script,
    scripts: Sequence[Script],
    named: Mapping[str, Path],
    loaded: Sequence[Path] = (),
    added: Sequence[Path] = (),
) -> Extent:
    """Returns a script's folder; or the script alone, at the top of a project, if neither it nor a model needs a neighbour.

    Args:
        script: The entry script.
        scripts: All Python files of the project.
        named: The modules that pickles name, each with its model.
        loaded: Files of the project that the script loads by its own place.
        added: Folders of the project that the script itself puts on Python's path.
    """
    folder = script.path.parent
    roots = list(dict.fromkeys((folder, *folder.parents, _SOURCES, folder / _SOURCES, *added)))
    found = dict(_local(script, scripts, named, roots))
    elsewhere = list(dict.fromkeys(root for root in found.values() if root != folder))
    if not elsewhere:
        if folder != Path():
            return Extent(Entry(Path(script.path.name), folder), (), f"all of {folder} goes with it")
        if not found and loaded:
            return Extent(
                Entry(script.path, folder), (), f"the whole folder goes with it, because it loads {loaded[0]}"
            )
        if not found:
            return Extent(Entry(script.path), (), "it goes alone")
        return Extent(Entry(script.path, folder), (), f"the whole folder goes with it, because {_reason(found, named)}")
    source = Path(os.path.commonpath([os.path.join(".", each) for each in (folder, *elsewhere)]))
    apart = {name: root for name, root in found.items() if root != folder}
    path = tuple(root for root in dict.fromkeys(found.values()) if root != source and root not in added)
    whole = "the whole project" if source == Path() else f"all of {source}"
    on_path = f", with {' and '.join(map(str, path))} on Python's path" if path else ""
    entry = Entry(script.path.relative_to(source), source)
    return Extent(entry, path, f"{whole} goes with it{on_path}, because {_reason(apart, named)}")


def _reason(found: Mapping[str, Path], named: Mapping[str, Path]) -> str:
    pickled = sorted(name for name in found if name in named)
    imported = sorted(found.keys() - pickled)
    if imported:
        return f"it imports {', '.join(imported)}"
    return f"{named[pickled[0]]} names {', '.join(pickled)}"


def _local(
    script: Script, scripts: Sequence[Script], named: Mapping[str, Path], roots: Sequence[Path]
) -> Iterator[tuple[str, Path]]:
    """Yields the modules of the project that the script and the pickles need, also through each other, each with its folder."""
    modules: dict[Path, dict[str, list[Script]]] = {root: {} for root in roots}
    for each in scripts:
        for root in roots:
            if each.path != script.path and (name := module_at(each.path, root)):
                modules[root].setdefault(name, []).append(each)
    waiting, seen = sorted(script.imports | named.keys()), set[str]()
    while waiting:
        name = waiting.pop()
        place = next((each for each in roots if name in modules[each]), None)
        if place is None or name in seen or name in sys.stdlib_module_names:
            continue
        seen.add(name)
        yield name, place
        waiting += sorted(set[str]().union(*(each.imports for each in modules[place][name])) - seen)


def module_at(path: Path, folder: Path) -> str:
    """Returns the module or package that a Python file is, or is part of, where `folder` is on the path; else nothing."""
    if not path.is_relative_to(folder):
        return ""
    first, *rest = path.relative_to(folder).parts
    return first if rest else first.removesuffix(".py")
