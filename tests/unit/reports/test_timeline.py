"""The times of a build, from its events: spans, lanes in which none overlaps another, and the trace of Chromium."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from modelcrate.events import Advanced, Event, Finished, Notice, Started, Step
from modelcrate.reports import timeline as timelines
from modelcrate.reports.time_view import seconds
from modelcrate.reports.timeline import Recorder, Span, Timeline, chrome_trace, place_in_lanes


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def record(*events: tuple[float, Event]) -> tuple[Timeline, list[Event]]:
    clock, passed = Clock(), list[Event]()
    recorder = Recorder(passed.append, clock)
    for at, event in events:
        clock.now = 100.0 + at
        recorder.emit(event)
    return recorder.timeline(), passed


def test_steps_follow_one_another_and_tasks_have_their_bytes() -> None:
    events: list[tuple[float, Event]] = [
        (5, Step("resolve")),
        (6, Started("a", 10)),
        (7, Advanced("a", 8)),
        (8, Step("pack")),
        (9, Advanced("a", -2)),
        (10, Finished("a", "already there")),
        (10, Finished("never begun")),
        (11, Notice("told")),
        (12, Started("b")),
        (14, Advanced("b", 1)),
    ]
    found, passed = record(*events)
    assert passed == [event for _, event in events]
    assert found.spans == (
        Span("resolve", 0, 3, step=True),
        Span("a", 1, 5, 6, "already there"),
        Span("pack", 3, 9, step=True),
        Span("b", 7, 9, 1),
    )
    assert found.seconds == 9


def test_two_tasks_of_one_name_are_two() -> None:
    found, _ = record((0, Started("a")), (1, Started("a")), (2, Finished("a")), (4, Finished("a")))
    assert sorted((each.begin, each.end) for each in found.spans) == [(0, 4), (1, 2)]


def test_a_build_of_many_tasks_is_bounded(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(timelines, "MAX_SPANS", 5)
    found, _ = record(*((at, each(f"{at}")) for at in range(9) for each in (Started, Finished)), (9, Step("end")))  # type: ignore[arg-type]
    assert (len(found.spans), found.left_out) == (6, 4)
    assert Recorder().timeline() == Timeline(())


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=30))
def test_no_two_spans_of_a_lane_overlap(drawn: list[tuple[int, int]]) -> None:
    spans = sorted(
        (Span(str(at), begin, begin + length) for at, (begin, length) in enumerate(drawn)), key=lambda each: each.begin
    )
    placed = place_in_lanes(spans)
    assert [each for _, each in placed] == spans
    for lane in {at for at, _ in placed}:
        ends = 0.0
        for each in (span for at, span in placed if at == lane):
            assert each.begin >= ends
            ends = each.end


def test_the_trace_has_what_chromium_wants() -> None:
    found, _ = record(
        (0, Step("pack")), (0.25, Started("a\u202e")), (1, Advanced("a\u202e", 7)), (1.5, Finished("a\u202e", "new"))
    )
    trace = json.loads(chrome_trace(found))
    step, task = (each for each in trace["traceEvents"] if each["ph"] == "X")
    assert step == {
        "name": "pack",
        "cat": "step",
        "ph": "X",
        "ts": 0,
        "dur": 1_500_000,
        "pid": 1,
        "tid": 0,
        "args": {"bytes": 0},
    }
    assert (task["ts"], task["dur"], task["tid"], task["args"]) == (250_000, 1_250_000, 1, {"bytes": 7, "note": "new"})
    named = {each["tid"]: each["args"]["name"] for each in trace["traceEvents"] if each["name"] == "thread_name"}
    assert named == {0: "steps", 1: "tasks 1"}


def test_durations_are_for_people() -> None:
    assert [seconds(each) for each in (0, 0.0123, 0.9999, 1, 61.2, 250)] == [
        "0 ms",
        "12 ms",
        "1.0 s",
        "1.0 s",
        "61.2 s",
        "4 min 10 s",
    ]
