"""What uv chose from a folder of wheels, remembered while nothing that decides it has changed: then no resolver is started."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from modelcrate.home.result_cache import ResultCache
from modelcrate_layers.content import Digest
from modelcrate_layers.errors import SourceError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.layer_cache import settled
from modelcrate_layers.tar.sources import FileRange
from modelcrate_layers.tar.tree import file


@dataclass(frozen=True, slots=True)
class RememberedChoice:
    """A question to uv, and where its answer is kept. `question` is None for one whose answer can't be kept."""

    kept: ResultCache
    question: tuple[object, ...] | None

    @classmethod
    def of(cls, folder: Path, program: str, words: Sequence[str], house: Path) -> RememberedChoice:
        """Returns the question that a command of uv is.

        A wheel counts by its stamp, and a file that the command names by what is in it. Where a wheel is so young that a change of it might not
        show, or the command names a folder, the answer is not kept.

        Args:
            folder: Where answers are kept.
            program: The program uv, which counts by its stamp.
            words: The words of the command.
            house: The folder of wheels, which has no folders in it.
        """
        kept = ResultCache(folder)
        with suppress(SourceError, OSError):
            wheels = [FileRange.of_file(str(each)) for each in sorted(house.iterdir())]
            if settled(file(os.fsencode(each.path), each) for each in wheels):
                state = [[each.path, *each.stamp] for each in wheels]
                uv = [program, *FileRange.of_file(program).stamp]
                return cls(kept, (uv, [_meant(word) for word in words], str(house.absolute()), state))
        return cls(kept, None)

    def answer(self) -> str | None:
        """Returns what uv answered; None where that is not known."""
        found = None if self.question is None else self.kept.get(self.question)
        return None if found is None else found.decode()

    def keep(self, answer: str) -> None:
        """Keeps what uv answered."""
        if self.question is not None:
            self.kept.put(self.question, answer.encode())


def _meant(word: str) -> str:
    """A word, or what is in the file that it names, for such files have other names each time."""
    return str(Digest.of(Path(word).read_bytes())) if os.path.isabs(word) else word
