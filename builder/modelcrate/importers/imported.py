"""A project that was made of another tool's configuration, and how it is written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from modelcrate.importers.secrecy import tell
from modelcrate.project.values import FILE_NAME, Project
from modelcrate_layers.atomic import incoming, remove, write_file
from modelcrate_layers.content import CHUNK
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.store import as_machine_error


@dataclass(frozen=True, slots=True)
class Imported:
    """A project, and what became of each key of the file that it was made of.

    Attributes:
        file: The file that was read.
        tool: Whose file it is.
        folder: The folder of the project, which its paths start from.
        project: The project.
        files: What is written beside the project file: texts by their names.
        taken: What was taken over: a key, and what it became.
        not_taken: What was not: a key with its value, why, and what to do.
        notices: What else was decided.
        missing: What has to be there before an image can be built.
        renewed: Files that may be there already, because they are written anew each time.
        placed: Large files of this machine that belong into the folder: where they are, by the names that they get.
    """

    file: Path
    tool: str
    folder: Path
    project: Project
    files: Mapping[str, str] = field(default_factory=dict, hash=False)
    taken: tuple[str, ...] = ()
    not_taken: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    renewed: frozenset[str] = frozenset()
    placed: Mapping[str, Path] = field(default_factory=dict, hash=False)

    def lines(self) -> tuple[str, ...]:
        """Returns all that is to be said about it, one thing a line."""
        return (
            *(f"taken over: {each}" for each in self.taken),
            *self.notices,
            *(f"not taken over: {each}" for each in self.not_taken),
            *(f"before a build: {each}" for each in self.missing),
        )


def write_imported(found: Imported, *, force: bool = False) -> tuple[Path, ...]:
    """Writes the project file and what belongs to it.

    Args:
        found: What was read.
        force: Whether files that exist are replaced.

    Returns:
        The paths of the files; that of the project file is the first.

    Raises:
        UserError: There is another file of such a name already. Nothing is written then.
    """
    from modelcrate.project.reading import parse_project
    from modelcrate.project.writing import project_text

    texts = {FILE_NAME: project_text(found.project), **found.files}
    for name, text in texts.items():
        path = found.folder / name
        known = force or name in found.renewed
        if not known and path.exists() and (name == FILE_NAME or not _is(path, text)):
            hint = (
                "edit it, or replace it with --force"
                if name == FILE_NAME
                else "move it away, or replace it with --force"
            )
            raise UserError("exists already", where=str(path), hint=hint)
    try:
        parse_project(texts[FILE_NAME].encode(), FILE_NAME, found.folder)  # what is written is a project file
    except UserError as fault:
        raise _of_the_file(found, fault) from None
    placed = tuple(_place(file, found.folder / name, force) for name, file in found.placed.items())
    paths = tuple(found.folder / name for name in texts)
    own, *others = zip(paths, texts.values(), strict=True)
    before, after = (
        [each for each in others if each[0].name not in found.renewed],
        [each for each in others if each[0].name in found.renewed],
    )
    for path, text in (
        *before,
        own,
        *after,
    ):  # what the project file names is there before it, and what says that it was written is after it
        with as_machine_error(path):
            path.parent.mkdir(exist_ok=True)
            write_file(path, text.encode())
    return (*paths, *placed)


def _place(file: Path, path: Path, force: bool) -> Path:
    """Puts a file into the folder of a project: as another name of the same file, where the disk is the same, else as a copy."""
    if path.exists() and not force:
        if path.stat().st_size == file.stat().st_size:
            return path
        raise UserError("exists already", where=str(path), hint="move it away, or replace it with --force")
    with as_machine_error(path):
        remove(path)
        try:
            os.link(file, path)
        except OSError:  # another disk, or a file of somebody else
            with incoming(path.parent) as out, file.open("rb") as data:
                while chunk := data.read(CHUNK):
                    out.write(chunk)
                out.keep(path)
    return path


def _of_the_file(found: Imported, fault: UserError) -> UserError:
    """Returns the fault of a project file that was not written as one of the file that it was made of: its user has no other."""
    faults = [fault, *fault.also]
    why = [part for each in faults for part in (each.what, each.why) if part]
    said = "\n".join(
        [*(tell(each) for part in why for each in part.splitlines()), "of the keys there would be", *found.lines()]
    )
    hint = "change the key that it comes from, or leave it out and write it into the project file afterwards"
    return UserError("can't become a project", where=str(found.file), why=said, hint=hint)


def _is(path: Path, text: str) -> bool:
    """Returns whether a file has this text already."""
    try:
        return path.is_file() and path.stat().st_size == len(text.encode()) and path.read_bytes() == text.encode()
    except OSError:
        return False
