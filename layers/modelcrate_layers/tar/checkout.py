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
from dataclasses import field

from modelcrate_layers.frozen import dataclass
from modelcrate_layers.host import find_program

SECONDS = 60.0
"""How long Git may take."""

_LINE = re.compile(r"([0-7]{6}) [0-9a-f]{40,64} [0-3]\ti/(\S*) +w/(\S*) +attr/[^\t]*\t(.+)", re.DOTALL)
_PROGRAM, _LINK = "100755", "120000"


@dataclass(frozen=True, slots=True)
class Checkout:
    """The files of a folder that Git tracks.

    Attributes:
        modes: Their modes in Git's index, by the absolute path.
        changed: The files that have other line ends here than in the repository.
    """

    modes: Mapping[str, str] = field(default_factory=dict, repr=False)
    changed: tuple[str, ...] = ()

    def is_program(self, path: str) -> bool:
        """Returns whether a file can be executed: by Git's index, or by its first two bytes."""
        mode = self.modes.get(_plain(path))
        if mode is not None:
            return mode == _PROGRAM
        with suppress(OSError), open(path, "rb") as file:
            return file.read(2) == b"#!"
        return False

    def link(self, path: str) -> str | None:
        """Returns the target of a link that stands here as a text; None for any other file."""
        if self.modes.get(_plain(path)) != _LINK:
            return None
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read(4096)


def read_checkout(folder: str) -> Checkout:
    """Returns what Git knows of the files in a folder; nothing where there is no Git, or no checkout."""
    git = find_program("git")
    if git is None:
        return Checkout()
    # no program that the repository's settings name is started
    words = [git, "-c", "core.fsmonitor=false", "ls-files", "-z", "--stage", "--eol", "--", "."]
    try:
        done = subprocess.run(words, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return Checkout()
    modes, changed = {}, []
    for line in done.stdout.decode("utf-8", "surrogateescape").split("\0") if done.returncode == 0 else ():
        if found := _LINE.fullmatch(line):
            mode, before, now, name = found.groups()
            path = os.path.normpath(os.path.join(folder, name))
            modes[_plain(path)] = mode
            if before == "lf" and now in ("crlf", "mixed"):
                changed.append(path)
    return Checkout(modes, tuple(changed))


def _plain(path: str) -> str:
    return os.path.normcase(os.path.abspath(path))
