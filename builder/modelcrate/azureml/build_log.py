"""The log of a build in the background. The thread of the build writes it; other threads read it from any offset."""

from __future__ import annotations

import threading

from modelcrate.events import Advanced, Done, Event, Finished, Notice, Started, Step


class BuildLog:
    """Bytes that only grow. It changes, so it is not a value. Safe for threads."""

    def __init__(self) -> None:
        self._data, self._changed, self._ended = bytearray(), threading.Condition(), False

    def emit(self, event: Event) -> None:
        """Writes one line for an event. Events about bytes have none."""
        if line := event_line(event):
            self.write(line)

    def write(self, text: str) -> None:
        """Appends a text."""
        with self._changed:
            self._data += text.encode()
            self._changed.notify_all()

    def end(self) -> None:
        """Ends the log."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def read(self, offset: int = 0) -> bytes:
        """Returns the bytes from an offset on; none after the end."""
        with self._changed:
            return bytes(self._data[max(0, offset) :])

    def wait(self, offset: int) -> bytes:
        """Waits for bytes after an offset, and returns them. Returns none when the log has ended."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._data) > offset or self._ended)
            return bytes(self._data[offset:])


def event_line(event: Event) -> str:
    """Returns the line of a log for an event; an empty text for events about bytes."""
    match event:
        case Step(name):
            return f"step: {name}\n"
        case Finished(label, note):
            return f"  {label}{': ' + note if note else ''}\n"
        case Notice(text) | Done(text):
            return f"{text}\n"
        case Started() | Advanced():
            return ""
