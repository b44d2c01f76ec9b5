"""Answers that are worth keeping between runs: a file each, under the digest of its question. Who asks says what the bytes mean."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from modelcrate_layers.atomic import write_file
from modelcrate_layers.content import Digest, canonical_json
from modelcrate_layers.frozen import dataclass


@dataclass(frozen=True, slots=True)
class ResultCache:
    """A folder in the home. A question is anything that JSON can say, and holds all that decides its answer."""

    folder: Path

    def get(self, question: object) -> bytes | None:
        """What was kept, if anything was; who reads it has to be ready for anything."""
        with suppress(OSError):
            return self._place(question).read_bytes()
        return None

    def put(self, question: object, answer: bytes) -> None:
        """Keep an answer. A home that can't be written makes the next run slower, no more."""
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_file(self._place(question), answer)

    def _place(self, question: object) -> Path:
        return self.folder / f"{Digest.of(canonical_json(question)).hex}.json"
