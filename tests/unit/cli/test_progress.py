"""How events are shown: on a terminal, in a log, as JSON lines, or not at all."""

from __future__ import annotations

import io
import json

import pytest

from modelcrate.cli.progress import EVERY, FRAME, Bar, Json, Lines, Progress, Silent, Task, choose
from modelcrate.events import Advanced, Done, Event, Finished, Notice, Started, Step


class Clock:
    """A clock that goes on only when it is moved."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def shown(progress: Progress, clock: Clock, *events: Event | float) -> str:
    """What is written for these events; a number lets so many seconds pass."""
    for each in events:
        if isinstance(each, float):
            clock.seconds += each
        else:
            progress.emit(each)
    assert isinstance(progress.out, io.StringIO)
    return progress.out.getvalue()


ALL = (
    Step("pack"),
    Started("layer", 4000),
    Notice("a notice"),
    EVERY,
    Advanced("layer", 1000),
    EVERY,
    Advanced("layer", 3000),
    Finished("layer", "as new"),
    Done("store x"),
)


def test_silent_shows_notices_only(clock: Clock) -> None:
    assert shown(Silent(io.StringIO(), clock), clock, *ALL) == "a notice\n"


def test_lines_show_what_takes_long(clock: Clock) -> None:
    written = shown(Lines(io.StringIO(), clock), clock, *ALL)
    assert written.splitlines() == [
        "a notice",
        "  layer: 1.0 kB of 4.0 kB, 333 B/s, 9 s left",
        "  layer: 4.0 kB of 4.0 kB, 667 B/s, finishing",
        "  layer: done, 4.0 kB in 6.0 s, as new",
    ]


def test_lines_are_silent_about_what_is_quick(clock: Clock) -> None:
    quick = (Started("layer", 10), Advanced("layer", 10), Finished("layer"))
    assert shown(Lines(io.StringIO(), clock), clock, *quick) == ""


def test_json_is_an_object_a_line_and_sums_bytes_over_a_frame(clock: Clock) -> None:
    more = (
        Started("layer"),
        Advanced("layer", 1),
        2 * FRAME,
        Advanced("layer", 2),
        Advanced("layer", 4),
        Finished("layer"),
    )
    written = shown(Json(io.StringIO(), clock), clock, Step("pack"), *more, Done("store x"))
    assert [json.loads(line) for line in written.splitlines()] == [
        {"event": "step", "name": "pack"},
        {"event": "started", "label": "layer", "total": None},
        {"event": "progress", "label": "layer", "done": 3, "total": None},
        {"event": "finished", "label": "layer", "note": ""},
        {"event": "done", "what": "store x"},
    ]


def test_a_bar_is_redrawn_in_place_and_taken_away(clock: Clock) -> None:
    bar = Bar(io.StringIO(), clock)
    assert shown(bar, clock, Started("layer", 4000), 1.0, Advanced("layer", 2000)).endswith(
        f"[{'#' * 12}{'.' * 12}] layer: 2.0 kB of 4.0 kB, 2.0 kB/s, 1 s left\n"
    )
    before = len(shown(bar, clock))
    assert shown(bar, clock, 1.0, Notice("a notice"))[before:].startswith("\r\x1b[1A\x1b[Ja notice\n")
    bar.clear()
    assert shown(bar, clock).endswith("\r\x1b[1A\x1b[J")
    before = len(shown(bar, clock))
    bar.clear()
    assert len(shown(bar, clock)) == before, "nothing is drawn, so nothing is taken away"


def test_a_bar_of_unknown_length_has_no_frame(clock: Clock) -> None:
    written = shown(Bar(io.StringIO(), clock), clock, Started("layer"), 1.0, Advanced("layer", 5))
    assert "layer: 5 B, 5 B/s" in written
    assert "[#" not in written


def test_bytes_of_a_task_that_was_not_started_do_not_count(clock: Clock) -> None:
    progress = Lines(io.StringIO(), clock)
    assert shown(progress, clock, Advanced("other", 5), Finished("other")) == ""
    assert progress.tasks == {}


def test_after_cancelling_the_next_event_raises(clock: Clock) -> None:
    progress = Silent(io.StringIO(), clock)
    progress.emit(Done("store x"))
    progress.cancel()
    with pytest.raises(KeyboardInterrupt):
        progress.emit(Step("pack"))
    assert progress.done == ["store x"]


def test_the_line_of_a_task_without_a_total_has_no_end() -> None:
    assert Task("layer", None, begun=0.0, done=10).line(10.0) == "layer: 10 B, 1 B/s"
    assert Task("layer", 10, begun=0.0).line(10.0) == "layer: 0 B of 10 B, 0 B/s"


@pytest.mark.parametrize(
    ("kind", "expected"), [("auto", Lines), ("bar", Bar), ("lines", Lines), ("json", Json), ("none", Silent)]
)
def test_a_kind_of_progress_is_chosen(kind: str, expected: type[Progress]) -> None:
    assert type(choose(kind, io.StringIO())) is expected
