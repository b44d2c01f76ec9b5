"""Results that are kept between runs: one file for each, named by the digest of its key. Callers decide what the bytes mean."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from modelcrate_layers.content import Digest, canonical_json
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.records import read_record, write_record


@dataclass(frozen=True, slots=True)
class ResultCache:
    """A folder of results. A key is any JSON value, and contains everything that decides the result."""

    folder: Path

    def get(self, key: object) -> bytes | None:
        """Returns the result for a key, if it was written on this machine (see `records`)."""
        return read_record(self.folder, _name(key))

    def put(self, key: object, value: bytes) -> None:
        """Writes a result. A home that can't be written only makes the next run slower, so that is no error."""
        with suppress(OSError):
            write_record(self.folder, _name(key), value)


def _name(key: object) -> str:
    return f"{Digest.of(canonical_json(key)).hex}.json"
