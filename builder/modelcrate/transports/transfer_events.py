"""The registry client's events as modelcrate's events."""

from __future__ import annotations

import threading
from urllib.parse import urlsplit

from modelcrate.events import Advanced, Emit, Finished, Notice, Started
from modelcrate.registry import events

SLOW_HASHING = 64 << 20
"""Bytes of a blob that a registry hashes for so long that the user should be informed."""


class TransferEvents:
    """Turns the registry client's events into modelcrate's.

    The client reports totals and modelcrate reports steps, so the bytes of each blob are remembered.
    """

    def __init__(self, emit: Emit) -> None:
        self._emit, self._lock = emit, threading.Lock()
        self._done: dict[str, int] = {}
        self._reported: set[str] = set()

    def __call__(self, event: object) -> None:
        """Emits what an event of the registry client means."""
        match event:
            case events.Moved(None, name, done, _):  # who reads its layer shows how far it is
                self._done[f"push {name}"] = done
            case events.Moved(_, name, done, total):
                self._advance(f"push {name}", done, total)
            case events.Waiting(name):
                if self._done.get(f"push {name}", 0) >= SLOW_HASHING:
                    self._emit(Notice(f"waiting for the registry, which hashes {name}"))
            case events.Retrying(where, why, _, _):
                place = urlsplit(where.rpartition(" ")[2]).netloc or where
                told = why if why.startswith(f"{place} ") else f"{place}: {why}"
                self._report_once(f"{told}; trying again")
            case events.Resumed(name, offset):
                self._emit(Notice(f"{name}: the upload continues at byte {offset}"))
            case events.Restarted(name, why):
                self._emit(Notice(f"{name}: the upload starts again, {why}"))
            case events.Warned(where, text):
                self._emit(Notice(f"{where}: {text}"))

    def _report_once(self, text: str) -> None:
        """Emits a notice once: parallel uploads fail together, for the same reason."""
        with self._lock:
            if text in self._reported:
                return
            self._reported.add(text)
        self._emit(Notice(text))

    def _advance(self, label: str, done: int, total: int | None) -> None:
        with self._lock:
            before = self._done.get(label)
            self._done[label] = done
        if before is None:
            self._emit(Started(label, total))
        self._emit(Advanced(label, done - (before or 0)))
        if done == total:
            self._emit(Finished(label))
