"""Answers that are worth keeping between runs: a file each, under the digest of its question. Who asks says what the bytes mean."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from modelcrate_layers.content import Digest, canonical_json
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.records import read_record, write_record


@dataclass(frozen=True, slots=True)
class ResultCache:
    """A folder in the home. A question is anything that JSON can say, and holds all that decides its answer."""

    folder: Path

    def get(self, question: object) -> bytes | None:
        """Returns what was kept, if anything was, and on this machine (see `records`)."""
        return read_record(self.folder, _name(question))

    def put(self, question: object, answer: bytes) -> None:
        """Keeps an answer. A home that can't be written makes the next run slower, and nothing else."""
        with suppress(OSError):
            write_record(self.folder, _name(question), answer)


def _name(question: object) -> str:
    return f"{Digest.of(canonical_json(question)).hex}.json"
