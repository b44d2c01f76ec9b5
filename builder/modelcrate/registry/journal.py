"""Uploads in progress, noted on disk, so that a later run continues where this one was killed.

Each upload has one small file, which is replaced after every chunk that the registry confirmed. A lock file keeps two
processes from using one session. Nothing is synced: a killed process loses nothing by that, and after a power cut an
upload starts again at worst.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

from modelcrate.net.retry import Clock
from modelcrate_layers import host
from modelcrate_layers.content import parse_object
from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.named_file import open_named_file

LIFETIME = 24 * 3600.0
"""Seconds. Registries remove unfinished uploads after hours to days."""

MAX_NOTE = 64 << 10


@dataclass(frozen=True, slots=True)
class UploadSession:
    """An upload in a registry: where it goes on, the bytes that the registry confirmed, and the smallest chunk it takes."""

    location: str
    offset: int = 0
    minimum: int = 0


class JournalEntry:
    """The note about the upload of one blob into one repository, locked by this process. Close it."""

    def __init__(self, path: Path | None, lock: int | None, clock: Clock) -> None:
        self._path, self._lock, self._clock = path, lock, clock

    def read(self) -> UploadSession | None:
        """Returns what an earlier run noted; None where there is nothing, or where it is too old."""
        if self._path is None:
            return None
        try:
            with open_named_file(self._path) as file:
                noted = parse_object(file.read(MAX_NOTE))
            location, offset, when = noted["location"], noted["offset"], noted["noted"]
            minimum = noted.get("minimum", 0)
        except (OSError, CrateError, KeyError):
            return None
        sound = isinstance(location, str) and isinstance(when, int | float)
        sound = sound and all(type(count) is int and count >= 0 for count in (offset, minimum))
        return UploadSession(location, offset, minimum) if sound and 0 <= self._clock.now() - when < LIFETIME else None

    def note(self, session: UploadSession) -> None:
        """Writes the note. A failure is ignored."""
        if self._path is None:
            return
        known = {"location": session.location, "offset": session.offset, "minimum": session.minimum}
        text = json.dumps({**known, "noted": self._clock.now()})
        beside = self._path.with_suffix(".new")
        with suppress(OSError):
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(text)
            beside.replace(self._path)

    def forget(self) -> None:
        """Removes the note: the upload is finished or cancelled."""
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink()

    def close(self) -> None:
        """Releases the lock."""
        if self._lock is not None:
            if self._path is not None and not self._path.exists():
                with suppress(OSError):
                    self._path.with_suffix(".lock").unlink()
            os.close(self._lock)
            self._lock = None


@dataclass(frozen=True, slots=True)
class Journal:
    """The folder of notes. Without a folder nothing is noted."""

    folder: Path | None
    clock: Clock

    def no_entry(self) -> JournalEntry:
        """Returns an entry that notes nothing, for an upload that can't be continued."""
        return JournalEntry(None, None, self.clock)

    def entry(self, repository: str, name: str) -> JournalEntry:
        """Returns the entry of blob `name` in a repository; where another process has it, one that notes nothing."""
        if self.folder is None:
            return self.no_entry()
        key = hashlib.sha256(f"{repository}\n{name}".encode()).hexdigest()[:40]
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = host.open_lock(self.folder / f"{key}.lock")
        except OSError:
            return self.no_entry()
        try:
            host.lock(lock, wait=False)
        except OSError:
            os.close(lock)
            return self.no_entry()
        return JournalEntry(self.folder / f"{key}.json", lock, self.clock)

    def sweep(self) -> int:
        """Removes notes that are too old or can't be read. Returns their number."""
        removed = 0
        for path in self.folder.glob("*.json") if self.folder and self.folder.is_dir() else ():
            if JournalEntry(path, None, self.clock).read() is None:
                with suppress(OSError):
                    path.unlink()
                    path.with_suffix(".lock").unlink(missing_ok=True)
                    removed += 1
        return removed
