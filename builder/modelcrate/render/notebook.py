"""The display in a notebook: the layers of an image as a table, and the progress of a build as one line that changes."""

from __future__ import annotations

import sys
import threading
import time
from html import escape
from typing import Any

from modelcrate.events import Advanced, Emit, Event, Finished, Notice, Started, Step, ignore_event
from modelcrate.images.image import Deliverable
from modelcrate.project.byte_sizes import format_size
from modelcrate.render.text import origin_text

EVERY = 0.2
"""Seconds between two changes of the line."""


def image_html(name: str, image: Deliverable) -> str:
    """Returns the layers of an image as an HTML table."""
    rows = []
    for each in image.images:
        for layer in each.layers:
            cells = (layer.role, layer.name, format_size(layer.descriptor.size), origin_text(layer))
            rows.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    head = "<tr><th>role</th><th>layer</th><th>size</th><th>origin</th></tr>"
    return f"<p><b>{escape(name)}</b> <code>{image.digest}</code></p><table>{head}{''.join(rows)}</table>"


def notebook_emit() -> Emit:
    """Returns an Emit that shows progress if Python runs in a notebook, and one that ignores events elsewhere."""
    display = sys.modules.get("IPython.display")
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if display is None or type(shell).__name__ != "ZMQInteractiveShell":
        return ignore_event
    return NotebookProgress(display).emit


class NotebookProgress:
    """One line of a notebook's output with the progress of a build. It changes, so it is not a value. Safe for threads."""

    def __init__(self, display: Any) -> None:
        self._handle = display.display(display.HTML(""), display_id=True)
        self._html = display.HTML
        self._lock, self._shown, self._step = threading.Lock(), 0.0, ""
        self._under_way: dict[str, list[int]] = {}
        self._notices: list[str] = []

    def emit(self, event: Event) -> None:
        """Takes an event from any thread."""
        with self._lock:
            match event:
                case Step(name):
                    self._step = name
                case Notice(text):
                    self._notices.append(text)
                case Started(label, total):
                    self._under_way[label] = [0, total or 0]
                case Advanced(label, count) if label in self._under_way:
                    self._under_way[label][0] += count
                case Finished(label):
                    self._under_way.pop(label, None)
            now = time.monotonic()
            if isinstance(event, Step | Notice) or now - self._shown > EVERY:
                self._shown = now
                self._handle.update(self._html(self._text()))

    def _text(self) -> str:
        work = ", ".join(
            f"{escape(label)}: {format_size(done)}" + (f" of {format_size(total)}" if total else "")
            for label, (done, total) in self._under_way.items()
        )
        notices = "".join(f"<li>{escape(text)}</li>" for text in self._notices)
        return f"{escape(self._step)} {work}" + (f"<ul>{notices}</ul>" if notices else "")
