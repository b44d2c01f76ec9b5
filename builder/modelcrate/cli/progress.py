"""Shows progress: bars on a terminal, a line every few seconds elsewhere, JSON lines, or nothing."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from modelcrate.events import Advanced, Done, Event, Finished, Notice, Started, Step
from modelcrate.project.byte_sizes import format_size
from modelcrate.render.printable import printable
from modelcrate_layers.frozen import dataclass

EVERY = 3.0
"""Seconds between two lines of one task without a terminal, so that logs stay short."""

FRAME = 0.1
"""Seconds between two updates of a bar."""


@dataclass(slots=True)
class Task:
    """A running task. Not frozen: it changes with every event."""

    label: str
    total: int | None
    begun: float
    done: int = 0
    shown: float = 0.0

    def line(self, now: float) -> str:
        """Returns the task as one line: bytes, rate, and the seconds that are left."""
        rate = self.done / max(now - self.begun, 0.001)
        of = f" of {format_size(self.total)}" if self.total else ""
        left = (
            f", {(self.total - self.done) / rate:.0f} s left" if self.total and rate and self.done < self.total else ""
        )
        if self.total and self.done >= self.total:
            left = ", finishing"
        return f"{printable(self.label)}: {format_size(self.done)}{of}, {format_size(rate)}/s{left}"


class Progress:
    """The base class: takes events from any thread, and keeps the running tasks and the results that are done."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self.out, self.clock = out, clock
        self.lock = threading.Lock()
        self.tasks: dict[str, Task] = {}
        self.done: list[str] = []
        self._cancelled = threading.Event()

    def emit(self, event: Event) -> None:
        """Takes an event.

        Raises:
            KeyboardInterrupt: `cancel` was called. It ends the work of the thread that emits.
        """
        if self._cancelled.is_set():
            raise KeyboardInterrupt
        with self.lock:
            task = self._track(event)
            self.show(event, task)

    def cancel(self) -> None:
        """Makes the next event of each thread raise."""
        self._cancelled.set()

    def _track(self, event: Event) -> Task | None:
        match event:
            case Started(label, total):
                now = self.clock()
                self.tasks[label] = Task(label, total, now, shown=now)
            case Advanced(label, count) if label in self.tasks:
                self.tasks[label].done += count
            case Finished(label):
                return self.tasks.pop(label, None)
            case Done(what):
                self.done.append(what)
                return None
            case Step() | Notice():
                return None
        return self.tasks.get(event.label)

    def show(self, event: Event, task: Task | None) -> None:
        """Shows an event. `task` is the task that it belongs to."""
        raise NotImplementedError

    def clear(self) -> None:
        """Removes bars from the screen before other text is printed."""
        return

    def write(self, text: str) -> None:
        """Writes a text and flushes the stream. Where nobody can read it, the work goes on: progress is not the result."""
        with suppress(OSError):
            self.out.write(text)
            self.out.flush()


class Silent(Progress):
    """Shows notices only."""

    def show(self, event: Event, task: Task | None) -> None:
        """Shows an event. See `Progress.show`."""
        if isinstance(event, Notice):
            self.write(f"{printable(event.text)}\n")


class Lines(Progress):
    """Shows a line for a task every few seconds, for logs. Short tasks have none."""

    def show(self, event: Event, task: Task | None) -> None:
        """Shows an event. See `Progress.show`."""
        now = self.clock()
        match event:
            case Notice(text):
                self.write(f"{printable(text)}\n")
            case Advanced() if task is not None and now - task.shown >= EVERY:
                task.shown = now
                self.write(f"  {task.line(now)}\n")
            case Finished(label, note) if task is not None and now - task.begun >= EVERY:
                self.write(
                    f"  {printable(label)}: done, {format_size(task.done)} in {now - task.begun:.1f} s{note and ', ' + note}\n"
                )


class Json(Progress):
    """Shows one JSON object for each event. The bytes of a task are shown at most once in FRAME seconds."""

    def show(self, event: Event, task: Task | None) -> None:
        """Shows an event. See `Progress.show`."""
        if isinstance(event, Advanced) and task is not None:
            now = self.clock()
            if now - task.shown < FRAME:
                return
            task.shown = now
            self._line("progress", {"label": task.label, "done": task.done, "total": task.total})
        elif not isinstance(event, Advanced):
            from dataclasses import asdict

            self._line(type(event).__name__.lower(), asdict(event))

    def _line(self, kind: str, facts: dict[str, object]) -> None:
        self.write(json.dumps({"event": kind, **facts}) + "\n")


class Bar(Progress):
    """Shows one line for each task, updated in place, for terminals."""

    WIDTH = 24

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(out, clock)
        self._drawn = 0
        self._last = 0.0

    def show(self, event: Event, task: Task | None) -> None:
        """Shows an event. See `Progress.show`."""
        if isinstance(event, Notice):
            self._wipe()
            self.write(f"{printable(event.text)}\n")
        now = self.clock()
        if now - self._last >= FRAME:
            self._last = now
            self._draw(now)

    def clear(self) -> None:
        """Removes the lines from the screen."""
        with self.lock:
            self._wipe()

    def _draw(self, now: float) -> None:
        width = shutil.get_terminal_size().columns - 1
        lines = [self._picture(task, now)[:width] for task in list(self.tasks.values())[-8:]]
        self._wipe()
        self.write("".join(f"{line}\n" for line in lines))
        self._drawn = len(lines)

    def _wipe(self) -> None:
        if self._drawn:
            # "\r", for a terminal echoes "^C" where the cursor stands, and the erasing begins in its column
            self.write(f"\r\x1b[{self._drawn}A\x1b[J")
            self._drawn = 0

    def _picture(self, task: Task, now: float) -> str:
        if not task.total:
            return f"{' ' * (self.WIDTH + 2)} {task.line(now)}"
        full = min(self.WIDTH, self.WIDTH * task.done // task.total)
        return f"[{'#' * full}{'.' * (self.WIDTH - full)}] {task.line(now)}"


def choose(kind: str, out: TextIO) -> Progress:
    """Returns the progress of a kind. `auto` is `bar` on a terminal, else `lines`."""
    if kind == "auto":
        kind = "bar" if out.isatty() else "lines"
    kinds: dict[str, type[Progress]] = {"bar": Bar, "lines": Lines, "json": Json, "none": Silent}
    return kinds[kind](out)
