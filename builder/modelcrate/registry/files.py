"""A file on disk as a blob."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from modelcrate_layers.content import CHUNK, Descriptor, verified
from modelcrate_layers.errors import unreadable
from modelcrate_layers.frozen import dataclass


@dataclass(frozen=True, slots=True)
class FileBlob:
    """A file with its descriptor. Read from the start, it is verified against that."""

    path: Path
    descriptor: Descriptor

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """Returns the bytes from `start`; from 0 on they are verified."""
        pieces = self._pieces(start)
        return pieces if start else verified(pieces, self.descriptor, str(self.path))

    def _pieces(self, start: int) -> Iterator[bytes]:
        try:
            with self.path.open("rb") as file:
                file.seek(start)
                while chunk := file.read(CHUNK):
                    yield chunk
        except OSError as fault:
            raise unreadable(fault, self.path) from None
