"""A command on a terminal of its own, as a person has it."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Mapping, Sequence
from types import TracebackType

from support.waiting import HANG


class Terminal:
    """Use it in a `with`; what still runs at the end of it is killed."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._ours, theirs = os.openpty()
        self._process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=dict(environment), start_new_session=True
        )
        os.close(theirs)
        self._read = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def write(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def read_until(self, text: str) -> str:
        """Everything that was shown up to this text."""
        while text not in self._read:
            assert select.select([self._ours], [], [], HANG)[0], f"{text!r} never came; it showed {self._read!r}"
            try:
                self._read += os.read(self._ours, 1 << 16).decode(errors="replace")
            except OSError as fault:
                raise AssertionError(f"{text!r} never came; it showed {self._read!r}") from fault
        return self._read

    def wait(self) -> int:
        return self._process.wait(HANG)
