"""A model's files on this disk, and what each says of itself, looked at once."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path

from modelcrate.modelfiles.recognition import ModelFacts, facts_of
from modelcrate_layers.errors import SourceError, UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.named_file import open_named_file

MAX_FILES = 10_000
"""Files of one model that are looked through for a framework; a model with more has to come with its script."""

MAX_TEXT = 4 << 20
"""Bytes of a configuration file beside a model."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """`top` is the model's file or folder; `names` are its files, relative to it (a file's own name, for a file), sorted.

    `shown` is what the model is called in messages.
    """

    top: Path
    names: tuple[str, ...]
    shown: str
    _facts: dict[str, ModelFacts] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, top: Path, shown: str = "") -> ModelFiles:
        """The regular files of a model, hidden ones left out."""
        if top.is_file():
            return cls(top, (top.name,), shown or str(top))
        names: list[str] = []
        for path in top.rglob("*"):
            if path.is_file() and not any(part.startswith(".") for part in path.relative_to(top).parts):
                names.append(path.relative_to(top).as_posix())
            if len(names) > MAX_FILES:
                raise UserError(
                    f"has more than {MAX_FILES} files",
                    where=shown or str(top),
                    hint="name an entry script: entry: score.py",
                )
        return cls(top, tuple(sorted(names)), shown or str(top))

    def path(self, name: str) -> Path:
        """Where one of the files is."""
        return self.top if self.top.name == name and self.top.is_file() else self.top / name

    def where(self, name: str) -> str:
        """The same place, in words."""
        return self.shown if self.path(name) == self.top else f"{self.shown}/{name}"

    def facts(self, name: str) -> ModelFacts:
        """What a file says of itself."""
        if name not in self._facts:
            path = self.path(name)
            try:
                with open_named_file(path) as handle:
                    self._facts[name] = facts_of(handle, name, path.stat().st_size)
            except OSError as fault:
                raise SourceError(f"can't be read: {fault.strerror or fault}", where=self.where(name)) from None
        return self._facts[name]

    def sound(self, name: str) -> ModelFacts:
        """The same of a file that has to be whole; a damaged one is a SourceError."""
        found = self.facts(name)
        if found.fault:
            raise SourceError(f"{name} is damaged: it {found.fault}", where=self.where(name))
        return found

    def text(self, name: str) -> bytes:
        """A small file; a large one is a UserError."""
        path = self.path(name)
        try:
            with open_named_file(path) as handle:
                data = handle.read(MAX_TEXT + 1)
        except OSError as fault:
            raise SourceError(f"can't be read: {fault.strerror or fault}", where=self.where(name)) from None
        if len(data) > MAX_TEXT:
            raise UserError(f"has more than {MAX_TEXT} bytes", where=self.where(name))
        return data

    def with_format(self, *formats: str) -> tuple[str, ...]:
        """The files of these formats."""
        return tuple(name for name in self.names if self.facts(name).format in formats)
