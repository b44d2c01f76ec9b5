"""When the steps and tasks of a build began and ended, from its events; also as a trace that Chromium and Perfetto open."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from modelcrate.events import Advanced, Emit, Event, Finished, Started, Step, ignore_event
from modelcrate_layers.frozen import dataclass

MAX_SPANS = 20_000
"""Tasks that are remembered, the first of them; the others are counted."""


@dataclass(frozen=True, slots=True)
class Span:
    """A step or a task of a build.

    Attributes:
        label: What was done.
        begin: Seconds from the first event on.
        end: Seconds from the first event on.
        count: Bytes that were done.
        note: How it ended, such as "already there".
        step: Whether it is a step, which follows the one before.
    """

    label: str
    begin: float
    end: float
    count: int = 0
    note: str = ""
    step: bool = False

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class Timeline:
    """The steps and tasks of a build, in the order of their beginnings; `left_out` are further tasks that were not remembered."""

    spans: tuple[Span, ...]
    left_out: int = 0

    @property
    def seconds(self) -> float:
        """When the last of them ended, counted from the beginning."""
        return max((each.end for each in self.spans), default=0.0)


class Recorder:
    """Passes events on, and notes when each step and task began and ended. It changes, so it is not a value. Safe for threads."""

    def __init__(self, emit: Emit = ignore_event, clock: Callable[[], float] = time.monotonic) -> None:
        self._emit, self._clock, self._lock = emit, clock, threading.Lock()
        self._begun: float | None = None
        self._step: tuple[str, float] | None = None
        self._tasks: dict[str, list[tuple[float, int]]] = {}
        self._spans: list[Span] = []
        self._left_out = 0

    def emit(self, event: Event) -> None:
        """Notes an event, and passes it on."""
        with self._lock:
            if self._begun is None:
                self._begun = self._clock()
            self._note(event, self._clock() - self._begun)
        self._emit(event)

    def timeline(self) -> Timeline:
        """Returns what was noted so far. A step or task that has not ended ends now."""
        with self._lock:
            now = self._clock() - self._begun if self._begun is not None else 0.0
            running = [Span(self._step[0], self._step[1], now, step=True)] if self._step else []
            running += [Span(label, begin, now, count) for label, of in self._tasks.items() for begin, count in of]
            spans = sorted([*self._spans, *running], key=lambda each: (each.begin, -each.end, each.label))
            return Timeline(tuple(spans), self._left_out)

    def _note(self, event: Event, now: float) -> None:
        match event:
            case Step(name):
                if self._step is not None:
                    self._keep(Span(self._step[0], self._step[1], now, step=True))
                self._step = (name, now)
            case Started(label):
                self._tasks.setdefault(label, []).append((now, 0))
            case Advanced(label, count) if self._tasks.get(label):
                begin, done = self._tasks[label][-1]
                self._tasks[label][-1] = (begin, done + count)
            case Finished(label, note) if self._tasks.get(label):
                begin, done = self._tasks[label].pop()
                self._keep(Span(label, begin, now, done, note))
                if not self._tasks[label]:
                    del self._tasks[label]

    def _keep(self, span: Span) -> None:
        if len(self._spans) < MAX_SPANS or span.step:
            self._spans.append(span)
        else:
            self._left_out += 1


def place_in_lanes(spans: Sequence[Span]) -> list[tuple[int, Span]]:
    """Returns each span with the first lane in which it overlaps no other. Steps are not told from tasks."""
    ends: list[float] = []
    placed = []
    for each in spans:
        lane = next((at for at, end in enumerate(ends) if end <= each.begin), len(ends))
        if lane == len(ends):
            ends.append(0.0)
        ends[lane] = each.end
        placed.append((lane, each))
    return placed


def chrome_trace(timeline: Timeline) -> bytes:
    """Returns a timeline in the JSON format of Chromium's trace viewer, which Perfetto reads, too."""
    steps = [(0, each) for each in timeline.spans if each.step]
    tasks = [(lane + 1, each) for lane, each in place_in_lanes([each for each in timeline.spans if not each.step])]
    names = {0: "steps"} | {lane: f"tasks {lane}" for lane, _ in tasks}
    events: list[dict[str, Any]] = [_named("process_name", 0, "modelcrate")]
    events += [_named("thread_name", lane, name) for lane, name in sorted(names.items())]
    for lane, each in [*steps, *tasks]:
        events.append(
            {
                "name": each.label,
                "cat": "step" if each.step else "task",
                "ph": "X",
                "ts": round(each.begin * 1e6),
                "dur": round(each.seconds * 1e6),
                "pid": 1,
                "tid": lane,
                "args": {"bytes": each.count, **({"note": each.note} if each.note else {})},
            }
        )
    return json.dumps({"displayTimeUnit": "ms", "traceEvents": events}, indent=1).encode()


def _named(what: str, lane: int, name: str) -> dict[str, Any]:
    return {"name": what, "ph": "M", "pid": 1, "tid": lane, "args": {"name": name}}
