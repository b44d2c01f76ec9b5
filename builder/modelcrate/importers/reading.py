"""Another tool's file while it is read: what is said about its keys, and the project that comes out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from modelcrate.importers.imported import Imported
from modelcrate.importers.keys import MAX_LINES, Keys
from modelcrate.importers.secrecy import tell, tell_value
from modelcrate.project.foreign_yaml import load_yaml, repeated_keys
from modelcrate.project.values import Project
from modelcrate_layers.errors import UserError
from modelcrate_layers.named_file import read_source


class Reading:
    """One file while it is read: it collects what is said about its keys, so it is not a value."""

    def __init__(self, file: Path, tool: str) -> None:
        self.file, self.tool = file, tool
        self.taken, self.not_taken = list[str](), list[str]()
        self.notices, self.missing = list[str](), list[str]()
        self.faults = list[UserError]()
        self._opened = list[Keys]()

    def load(self) -> Mapping[str, object]:
        """Returns the mapping in the file.

        Raises:
            SourceError: The file can't be read.
            UserError: It is no mapping in YAML.
        """
        data = load_mapping(self.file)
        again = repeated_keys(read_source(self.file))
        self.notices += [f"the key {each} stands twice: the last one counts" for each in again[:20]]
        return data

    def beside(self, name: str | Path) -> bytes:
        """Returns the bytes of a file in the folder; none for one that is not there. A link out of the folder is a fault, as is a folder or a fifo.

        Raises:
            SourceError: It can't be read.
        """
        path, folder = self.file.parent / name, os.path.realpath(self.file.parent)
        if not os.path.lexists(path):
            return b""
        if os.path.commonpath([folder, os.path.realpath(path)]) != folder:
            self.fault(f"{name} is a link out of the folder", "a project's files are in its folder: copy it there")
            return b""
        if not path.is_file():
            self.fault(f"{name} is no file", "move it away, or write a text file there")
            return b""
        return read_source(path)

    def keys(self, data: Mapping[str, object], above: str = "", unknown: str = "") -> Keys:
        """Returns the keys of a mapping. `above` is what stands before them in messages; `unknown` what to do about an unknown one."""
        made = Keys(self, data, above, unknown)
        self._opened.append(made)
        return made

    def leave(self, key: str, value: object, why: str) -> None:
        """Notes a key that an image can't have. The value is shown if it is short and plain, and no secret."""
        self._count()
        told, key = tell_value(key, value), tell(key)
        self.not_taken.append(f"{key}: {told}; {tell(why)}" if told else f"{key}; {tell(why)}")

    def take(self, key: str, became: str) -> None:
        """Notes a key that was taken over, and what it became."""
        self._count()
        self.taken.append(tell(f"{key}: {became}"))

    def fault(self, what: str, hint: str) -> None:
        """Notes a fault, with which no project can be made."""
        self.faults.append(UserError(tell(what), where=str(self.file), hint=hint))

    def close(self) -> None:
        """Names the keys that nobody asked for, and raises the faults.

        Raises:
            UserError: There are faults; `also` has the others, and the first says what would become of the other keys.
        """
        for opened in self._opened:
            opened.close()
        if self.faults:
            for each in self.faults:
                each.what, each.why = tell(each.what), "\n".join(map(tell, each.why.splitlines()))
            first, *rest = self.faults
            said = [
                *(f"taken over: {each}" for each in self.taken),
                *(f"not taken over: {each}" for each in self.not_taken),
                *map(tell, dict.fromkeys(self.notices)),
                *(f"before a build: {tell(each)}" for each in dict.fromkeys(self.missing)),
            ]
            if said:
                first.why = "\n".join([*filter(None, [first.why]), "of the other keys there would be", *said])
            first.also = tuple(rest)
            raise first

    def finish(self, project: Project, files: Iterable[tuple[str, str]] = (), folder: Path | None = None) -> Imported:
        """Returns what was read, with its project.

        Args:
            project: The project that was made of it.
            files: What is written beside the project file: names and texts.
            folder: The folder of the project; None for that of the file.

        Raises:
            UserError: There are faults.
        """
        self.close()
        taken, left, notices, missing = (
            tuple(dict.fromkeys(map(tell, each))) for each in (self.taken, self.not_taken, self.notices, self.missing)
        )
        place = folder or self.file.parent
        return Imported(self.file, self.tool, place, project, dict(files), taken, left, notices, missing)

    def _count(self) -> None:
        if len(self.taken) + len(self.not_taken) >= MAX_LINES:
            raise UserError(
                f"has more than {MAX_LINES} keys and items", where=str(self.file), hint="name the right file"
            )


def load_mapping(file: Path) -> Mapping[str, object]:
    """Returns the mapping in a YAML file.

    Raises:
        SourceError: The file can't be read.
        UserError: It is no mapping in YAML.
    """
    data = load_yaml(read_source(file), str(file))
    if not isinstance(data, Mapping):
        found = "is empty" if data is None else "has no keys"
        raise UserError(found, where=str(file), hint="name the configuration of the model")
    return data
