"""A model's files on this disk, and the facts that each one states. Each file is read once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from types import MappingProxyType

from modelcrate.modelfiles.facts import ModelFacts
from modelcrate.modelfiles.recognition import facts_of
from modelcrate_layers.errors import SourceError, UserError, unreadable
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.named_file import open_named_file

_NONE: Mapping[str, ModelFacts] = MappingProxyType({})

MAX_FILES = 10_000
"""Files of one model that are searched for a framework. A model with more needs an entry script."""

MAX_TEXT = 4 << 20
"""Bytes of a configuration file beside a model."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The files of a model.

    `top` is the model's file or folder; `names` are its files, sorted and relative to it (a file's own name, for a file).
    `shown` is the model's name in messages.
    """

    top: Path
    names: tuple[str, ...]
    shown: str
    _facts: dict[str, ModelFacts] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, top: Path, shown: str = "", known: Mapping[str, ModelFacts] = _NONE) -> ModelFiles:
        """Returns the regular files of a model, without hidden ones.

        Args:
            top: The model's file or folder.
            shown: The model's name in messages; by default the path.
            known: Facts of its files that were read already, by their paths: those are not read again.

        Raises:
            UserError: The folder has too many files.
        """
        if top.is_file():
            facts = {top.name: known[str(top)]} if str(top) in known else {}
            return cls(top, (top.name,), shown or str(top), facts)
        names = list(islice(_visible(str(top)), MAX_FILES + 1))
        if len(names) > MAX_FILES:
            raise UserError(
                f"has more than {MAX_FILES} files",
                where=shown or str(top),
                hint="name an entry script: entry: score.py",
            )
        facts = {name: found for name in names if (found := known.get(f"{top}{os.sep}{name}")) is not None}
        return cls(top, tuple(sorted(names)), shown or str(top), facts)

    def path(self, name: str) -> Path:
        """Returns the path of one of the files."""
        return self.top if self.top.name == name and self.top.is_file() else self.top / name

    def where(self, name: str) -> str:
        """Returns the place of one of the files, for messages."""
        return self.shown if self.path(name) == self.top else f"{self.shown}/{name}"

    def facts(self, name: str) -> ModelFacts:
        """Returns the facts that a file states.

        Raises:
            SourceError: The file can't be read.
        """
        if name not in self._facts:
            path = self.path(name)
            try:
                with open_named_file(path) as handle:
                    self._facts[name] = facts_of(handle, name, path.stat().st_size)
            except OSError as fault:
                raise unreadable(fault, self.where(name)) from None
        return self._facts[name]

    def sound(self, name: str) -> ModelFacts:
        """Returns the facts of a file that must not be damaged.

        Raises:
            SourceError: The file is damaged, or can't be read.
        """
        found = self.facts(name)
        if found.fault:
            raise SourceError(f"{name} is damaged: it {found.fault}", where=self.where(name))
        return found

    def text(self, name: str) -> bytes:
        """Returns the bytes of a small file.

        Raises:
            UserError: The file is too large.
            SourceError: The file can't be read.
        """
        path = self.path(name)
        try:
            with open_named_file(path) as handle:
                data = handle.read(MAX_TEXT + 1)
        except OSError as fault:
            raise unreadable(fault, self.where(name)) from None
        if len(data) > MAX_TEXT:
            raise UserError(f"has more than {MAX_TEXT} bytes", where=self.where(name))
        return data

    def with_format(self, *formats: str) -> tuple[str, ...]:
        """Returns the names of the files with one of these formats."""
        return tuple(name for name in self.names if self.facts(name).format in formats)


def _visible(top: str) -> Iterator[str]:
    """Yields the regular files below a folder by their names in it; hidden ones, and folders behind links, are passed over."""
    waiting = [(top, "")]
    while waiting:
        folder, above = waiting.pop()
        with suppress(PermissionError), os.scandir(folder) as found:
            for each in found:
                if each.name.startswith("."):
                    continue
                if each.is_dir(follow_symlinks=False):
                    waiting.append((each.path, f"{above}{each.name}/"))
                elif os.path.isfile(each.path):  # a link that leads to itself is none
                    yield above + each.name
