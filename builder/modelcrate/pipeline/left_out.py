"""What stays out of the image by the project's ignore files, and what goes in and looks as if it should not."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from modelcrate.project.ignore_rules import OURS, IgnoreRules
from modelcrate_layers import host
from modelcrate_layers.errors import UserError
from modelcrate_layers.kinds.entry import EntryLayer
from modelcrate_layers.kinds.model import ROOT
from modelcrate_layers.patterns import compile_later
from modelcrate_layers.tar.listing import Ignored
from modelcrate_layers.tar.tree import Entry, Kind, show

SHOWN = 3
"""How many paths a sentence names."""

LARGE = 10_000_000
"""Bytes of a source folder from which on a word about data in it is worth while."""

_DATA = compile_later(
    r"(^|/)(data|datasets?|notebooks?|mlruns|checkpoints|wandb)/|\.(ipynb|csv|tsv|parquet|feather|arrow|h5|hdf5|zip|tar|gz|xlsx)$"
)


class LeftOut:
    """Applies ignore rules while files are listed, and remembers what they left out; not frozen for that."""

    def __init__(self, rules: Sequence[IgnoreRules]) -> None:
        self._rules = tuple(rules)
        self._found: dict[Path, list[str]] = {}

    @property
    def in_sources(self) -> Ignored | None:
        """The rules for the entry's source folder; None where there are none."""
        return self._leaves_out if self._rules else None

    @property
    def in_models(self) -> Ignored | None:
        """The rules for models: ours alone, for those of other tools are often about what goes with the sources."""
        return self._leaves_out if any(each.file.name == OURS for each in self._rules) else None

    def _leaves_out(self, path: str, is_folder: bool) -> bool:
        for rules in self._rules:
            if rules.leaves_out(path, is_folder):
                self._found.setdefault(rules.file, []).append(os.path.abspath(path) + os.sep * is_folder)
                return True
        return False

    def check_entry(self, script: Path, place: Path) -> None:
        """Refuses an entry script that is left out.

        Raises:
            UserError: It is, or a folder above it.
        """
        path = os.path.abspath(place / script)
        for file, paths in self._found.items():
            if any(path == each or (each.endswith(os.sep) and path.startswith(each)) for each in paths):
                hint = f"take it back in its last line: !/{host.inner_path(path, file.parent)}"
                if path not in paths:
                    hint = "its folder is left out, so no later line can take it back: leave out less, such as FOLDER/*"
                raise UserError("leaves out the entry script", where=str(file), why=str(script), hint=hint)

    def check_model(self, model: Path, place: Path) -> None:
        """Refuses a model of which nothing is left. It is called for one without files.

        Raises:
            UserError: A file of the model is left out.
        """
        top = os.path.abspath(place / model)
        for file, paths in self._found.items():
            if any(each.rstrip(os.sep) == top or each.startswith(top + os.sep) for each in paths):
                hint = f"take it back in its last line: !/{host.inner_path(top, file.parent)}/**"
                raise UserError("leaves out all of the model", where=str(file), why=str(model), hint=hint)

    def notices(self) -> tuple[str, ...]:
        """Returns a sentence for each file of rules that left something out."""
        return tuple(map(self._notice, self._found))

    def _notice(self, file: Path) -> str:
        paths = [host.inner_path(each, file.parent) + "/" * each.endswith(os.sep) for each in self._found[file]]
        return f"left out by {file.name}: {_some(paths)}"


def data_notices(entry: EntryLayer | None, models: Sequence[Sequence[Entry]]) -> tuple[str, ...]:
    """Returns a sentence about what is large in the source folder and looks like data or a second copy of a model."""
    if entry is None:
        return ()
    files = [each for each in entry.sources.entries if each.kind is Kind.FILE]
    copies = {(_name(each), each.size) for listed in models for each in listed if each.kind is Kind.FILE and each.size}
    found = [each for each in files if _DATA.search(show(each.path)) or (_name(each), each.size) in copies]
    size = sum(each.size for each in found)
    if size < LARGE:
        return ()
    largest = sorted(found, key=lambda each: (-each.size, each.path))
    named = _some([f"{show(each.path[len(ROOT) + 1 :])} ({each.size / 1e6:.1f} MB)" for each in largest])
    return (
        f"{size / 1e6:.1f} MB of the source folder look like data or a copy of a model: {named}; {OURS} can leave them out",
    )


def _name(entry: Entry) -> bytes:
    return entry.path.rpartition(b"/")[2]


def _some(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return ", ".join(paths[:SHOWN]) + more
