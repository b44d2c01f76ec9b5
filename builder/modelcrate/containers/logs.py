"""A container's log: both outputs of its program in one file, and beside it how long the file was at which time.

The program writes to the file itself, without us in between, so lines carry no times. The supervisor looks once a second and notes the time
and the length where the length has changed: that is how exact `since_offset` is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from modelcrate_layers.content import CHUNK
from modelcrate_layers.patterns import compile_later

LOG = "log"
_TIMES = "log.times"
_LOOK = 0.05
"""Seconds between two looks at a log that is followed."""

_BLOCK = 1 << 16
_NUMBER = compile_later(r"[0-9]{1,18}")


def read_log(folder: Path, start: int, ended: Callable[[], bool]) -> Iterator[bytes]:
    """Yields the log from the byte `start` on, in pieces, until `ended` is true and all has been read."""
    with open(folder / LOG, "rb") as file:
        file.seek(start)
        while True:
            last = ended()  # before reading, so that nothing is missed
            while piece := file.read(CHUNK):
                yield piece
            if last:
                return
            time.sleep(_LOOK)


def tail_offset(folder: Path, lines: int) -> int:
    """Returns where the last `lines` lines of the log begin. A last line without an end counts."""
    with open(folder / LOG, "rb") as file:
        return _lines_back(file.fileno(), os.fstat(file.fileno()).st_size, lines)


def since_offset(folder: Path, moment: float) -> int:
    """Returns where the line begins that was being written at a moment (seconds since 1970): all before it is older."""
    size = 0
    try:
        notes = (folder / _TIMES).read_text(errors="replace").splitlines()
    except OSError:
        return 0
    for note in notes:
        seconds, _, length = note.partition(" ")
        if not (_NUMBER.fullmatch(seconds) and _NUMBER.fullmatch(length)) or int(seconds) > moment:
            break
        size = int(length)
    with open(folder / LOG, "rb") as file:
        size = min(size, os.fstat(file.fileno()).st_size)
        if not size or os.pread(file.fileno(), 1, size - 1) == b"\n":
            return size
        return _lines_back(file.fileno(), size, 1)


class LogTimes:
    """Notes the length of a log. Not a value: it remembers the last note."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._size = -1

    def note(self) -> None:
        """Adds a line where the log has grown since the last one."""
        size = (self._folder / LOG).stat().st_size
        if size != self._size:
            with open(self._folder / _TIMES, "a") as file:
                file.write(f"{int(time.time())} {size}\n")
            self._size = size


def _lines_back(fd: int, end: int, lines: int) -> int:
    """Where the last `lines` lines before the byte `end` begin."""
    if lines <= 0:
        return end
    wanted = lines + (1 if end and os.pread(fd, 1, end - 1) == b"\n" else 0)  # its end is none between two lines
    position = end
    while position > 0:
        start = max(0, position - _BLOCK)
        block = os.pread(fd, position - start, start)
        at = len(block)
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            wanted -= 1
            if not wanted:
                return start + at + 1
        position = start
    return 0
