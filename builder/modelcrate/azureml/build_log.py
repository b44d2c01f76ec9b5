"""The log of a build in the background: written by its thread, read by whoever waits, from any offset."""

from __future__ import annotations

import threading

from modelcrate.events import Advanced, Done, Event, Finished, Notice, Started, Step


class BuildLog:
    """Bytes that only ever grow. It moves, so it is no value."""

    def __init__(self) -> None:
        self._data, self._changed, self._ended = bytearray(), threading.Condition(), False

    def emit(self, event: Event) -> None:
        """One line an event; the bytes that pass are not told one by one."""
        match event:
            case Step(name):
                self.write(f"step: {name}\n")
            case Finished(label, note):
                self.write(f"  {label}{': ' + note if note else ''}\n")
            case Notice(text) | Done(text):
                self.write(f"{text}\n")
            case Started() | Advanced():
                pass

    def write(self, text: str) -> None:
        with self._changed:
            self._data += text.encode()
            self._changed.notify_all()

    def end(self) -> None:
        """Nothing more will come."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def read(self, offset: int = 0) -> bytes:
        """What is there from an offset on; nothing, behind the end."""
        with self._changed:
            return bytes(self._data[max(0, offset) :])

    def wait(self, offset: int) -> bytes:
        """What is new behind an offset; waits until there is something, and gives nothing when there will be no more."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._data) > offset or self._ended)
            return bytes(self._data[offset:])
