"""The files that stay out of an image: `.modelcrateignore`, else `.dockerignore`, else `.amlignore`. A `.gitignore` is no such list.

`.modelcrateignore` and `.amlignore` are in Git's grammar: the last pattern that fits decides, and files in a left-out folder
can't be included again. `.dockerignore` is in Docker's: patterns begin at its folder, and an exception holds in a left-out folder, too.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate_layers import host
from modelcrate_layers.errors import UserError, unreadable
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.named_file import open_named_file

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

OURS = ".modelcrateignore"
DOCKER = ".dockerignore"
NAMES = (OURS, DOCKER, ".amlignore")
"""The names of such a file, the one that counts first."""

MAX_BYTES = 1 << 20
"""Bytes of such a file; real ones have a few hundred."""


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """One such file: its patterns, which are relative to its folder.

    Attributes:
        exceptions: Whether an exception may hold in a folder that is left out, so that such a folder has to be looked through.
    """

    file: Path
    exceptions: bool
    _spec: GitIgnoreSpec = field(repr=False, compare=False)

    def leaves_out(self, path: str, is_folder: bool) -> bool:
        """Returns whether a host's path is left out. A path that is not below the rules' folder never is."""
        below = host.inner_path(path, self.file.parent)
        if below == ".." or below.startswith("../") or below == ".":
            return False
        if is_folder and self.exceptions:
            return False  # its files are checked one by one
        return self._spec.match_file(f"{below}/" if is_folder else below)


def read_ignore_rules(folders: Iterable[Path]) -> tuple[IgnoreRules, ...]:
    """Reads the ignore files of these folders. Of the three names, the first that any of the folders has is the only one that counts.

    Raises:
        UserError: A file is too large, not UTF-8, or has a pattern that is none.
        SourceError: A file can't be read.
    """
    places = list(dict.fromkeys(Path(os.path.abspath(folder)) for folder in folders))
    for name in NAMES:
        found = [
            place / name for place in places if (place / name).exists()
        ]  # what is no file is refused, not passed over
        if found:
            return tuple(map(_read, found))
    return ()


def _read(path: Path) -> IgnoreRules:
    from pathspec import GitIgnoreSpec

    try:
        with open_named_file(path) as file:
            data = file.read(MAX_BYTES + 1)
        lines = data.decode("utf-8-sig").splitlines()
    except OSError as fault:
        raise unreadable(fault, path) from None
    except UnicodeDecodeError:
        raise UserError("is not UTF-8", where=str(path), hint="save the file as UTF-8") from None
    if len(data) > MAX_BYTES:
        raise UserError(
            f"has more than {MAX_BYTES} bytes",
            where=str(path),
            hint="one pattern for a folder replaces many for its files",
        )
    docker = path.name == DOCKER
    patterns = [_anchored(line) for line in lines] if docker else lines
    try:
        spec = GitIgnoreSpec.from_lines(patterns)
    except ValueError as fault:
        raise UserError(
            "has a pattern that is none", where=str(path), why=str(fault), hint="patterns are those of .gitignore"
        ) from None
    return IgnoreRules(path, docker and any(line.startswith("!") for line in patterns), spec)


def _anchored(line: str) -> str:
    """Returns a pattern of Docker as one of Git: it begins at the file's folder, whether it has a slash or not."""
    line = line.strip()
    if not line or line.startswith("#"):
        return ""
    mark, pattern = ("!", line[1:].strip()) if line.startswith("!") else ("", line)
    pattern = posixpath.normpath(pattern).lstrip("/")
    return "" if pattern in ("", ".") else f"{mark}/{pattern}"
