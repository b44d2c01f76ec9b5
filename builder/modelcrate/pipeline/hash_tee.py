"""SHA-256 of large files, computed while their bytes go into a layer, so that they are not read a second time."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping

from modelcrate_layers.frozen import dataclass
from modelcrate_layers.tar.sources import FileRange
from modelcrate_layers.tar.tree import Entry
from modelcrate_layers.tar.writer import Tar

LARGE = 8 << 20
"""Bytes from which on a file is worth a thread; smaller ones are read again in no time."""

AHEAD = 2
"""Chunks that may wait for their hash: memory, for each file that passes."""


class HashTee:
    """The hashes found so far. It is not a value, since it changes while files pass. Several tars may pass at the same time."""

    def __init__(self) -> None:
        self._found: dict[FileRange, str] = {}

    @property
    def found(self) -> Mapping[FileRange, str]:
        """The hashes of files that have been read to their ends, in hex."""
        return self._found

    def over(self, tar: Tar) -> Tar:
        """Returns the same tar. Its large files are hashed whenever it is read."""
        return Tar(tuple(map(self._hashed, tar.entries)))

    def _hashed(self, entry: Entry) -> Entry:
        if isinstance(entry.source, FileRange) and entry.source.size >= LARGE:
            return entry._replace(source=_HashedFile(entry.source, self._found))
        return entry


@dataclass(frozen=True, slots=True)
class _HashedFile:
    """A file whose bytes are also hashed, in a thread: the consumer of the bytes may be waiting for a network."""

    source: FileRange
    found: dict[FileRange, str]

    @property
    def size(self) -> int:
        return self.source.size

    def chunks(self) -> Iterator[bytes]:
        from queue import Queue  # it takes a while to import, and an unchanged model needs none

        waiting: Queue[bytes | None] = Queue(AHEAD)
        digest = hashlib.sha256()

        def work() -> None:
            while (chunk := waiting.get()) is not None:
                digest.update(chunk)

        thread = threading.Thread(target=work, name="hash", daemon=True)  # who gives up a pass may not close it
        thread.start()
        try:
            for chunk in self.source.chunks():
                waiting.put(chunk)
                yield chunk
        finally:
            waiting.put(None)
            thread.join()
        self.found[self.source] = digest.hexdigest()
