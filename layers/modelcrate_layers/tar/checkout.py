"""What Git knows of files that Windows does not: which are programs, which are links that were written as text, which got other line ends.

On a system with modes and links the file system says all of that, and Git is not asked. Where it is, the answer is that of a checkout
elsewhere, so an image has the same digest. A file that Git does not track is a program if it begins with `#!`.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from contextlib import suppress

from modelcrate_layers.errors import SourceError, unreadable
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.host import find_program
from modelcrate_layers.patterns import compile_later

SECONDS = 60.0
"""How long Git may take."""

_LINE = compile_later(r"([0-7]{6}) [0-9a-f]{40,64} [0-3]\ti/(\S*) +w/(\S*) +attr/[^\t]*\t(.+)", re.DOTALL)
_PROGRAM, _LINK = "100755", "120000"
_LONGEST_LINK = 4095

_QUESTION = (
    *("-c", "core.fsmonitor=false", "-c", "safe.bareRepository=explicit"),
    *("ls-files", "-z", "--stage", "--eol", "--recurse-submodules", "--", "."),
)
"""Settings of a repository name programs: one that tells what has changed, and, for a folder that looks like `.git`, any of them."""

_ALONE = {"GIT_ALLOW_PROTOCOL": "", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C", "LANGUAGE": "C"}
"""Objects that the repository lacks are not fetched: its settings say by which program that is done."""

_NO_CHECKOUT = b"not a git repository (or any"


@dataclass(frozen=True, slots=True)
class Checkout:
    """The files of a folder that Git tracks.

    Attributes:
        modes: Their modes in Git's index, by the absolute path.
        changed: The files that have other line ends here than in the repository.
        unknown: It is a checkout, and there is no Git to be asked.
    """

    modes: Mapping[str, str] = field(default_factory=dict, repr=False)
    changed: tuple[str, ...] = ()
    unknown: bool = False

    def is_program(self, path: str) -> bool:
        """Returns whether a file can be executed: by Git's index, or by its first two bytes."""
        mode = self.modes.get(_plain(path))
        if mode is not None:
            return mode == _PROGRAM
        with suppress(OSError), open(path, "rb") as file:
            return file.read(2) == b"#!"
        return False

    def link(self, path: str) -> str | None:
        """Returns the target of a link that stands here as a text; None for any other file.

        Raises:
            SourceError: Something else has been written into the file.
        """
        if self.modes.get(_plain(path)) != _LINK:
            return None
        try:
            with open(path, "rb") as file:
                target = file.read(_LONGEST_LINK + 1)
        except OSError as fault:
            raise unreadable(fault, path) from None
        if not target or b"\0" in target or len(target) > _LONGEST_LINK:
            raise SourceError(
                "is a link to Git, and holds what can be no link's target",
                where=path,
                hint="`git checkout -- FILE` brings the link back; `git rm --cached FILE` and `git add FILE` make it a file",
            )
        return target.decode("utf-8", "surrogateescape")


def read_checkout(folder: str) -> Checkout:
    """Returns what Git knows of the files in a folder; nothing where there is no checkout, or no Git.

    Raises:
        SourceError: It is a checkout that Git does not read.
    """
    git = find_program("git")
    if git is None:
        above = os.path.abspath(folder)
        while not (inside := os.path.lexists(os.path.join(above, ".git"))) and os.path.dirname(above) != above:
            above = os.path.dirname(above)
        return Checkout(unknown=inside)
    # inside a hook of Git, its variables name another repository or index
    given = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or "CONFIG" in name}
    try:
        done = subprocess.run(
            [git, *_QUESTION],
            cwd=folder,
            env=given | _ALONE,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise _unread(folder, str(fault)) from None
    if done.returncode and _NO_CHECKOUT not in done.stderr:
        raise _unread(folder, done.stderr.decode("utf-8", "replace")[:1000].strip())
    modes, changed = {}, []
    for line in done.stdout.decode("utf-8", "surrogateescape").split("\0") if done.returncode == 0 else ():
        if found := _LINE.fullmatch(line):
            mode, before, now, name = found.groups()
            path = os.path.normpath(os.path.join(folder, name))
            modes[_plain(path)] = mode
            if before == "lf" and now in ("crlf", "mixed"):
                changed.append(path)
    return Checkout(modes, tuple(changed))


def _unread(folder: str, why: str) -> SourceError:
    return SourceError(
        "is a checkout that Git does not read, and Git's index says which of its files are programs and links",
        where=folder,
        why=why,
    )


def _plain(path: str) -> str:
    return os.path.normcase(os.path.abspath(path))
