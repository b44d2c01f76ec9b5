"""Progress as events: tasks, steps, and cancelling from where they are taken."""

from __future__ import annotations

import pytest

from modelcrate.events import (
    Advanced,
    Event,
    Finished,
    Started,
    Step,
    TrackedChunks,
    ignore_event,
    time_step,
    track_chunks,
)


def test_chunks_pass_unchanged_and_are_counted() -> None:
    events: list[Event] = []
    assert list(track_chunks([b"ab", b"", b"cde"], "layer", 5, events.append)) == [b"ab", b"", b"cde"]
    assert events == [
        Started("layer", 5),
        Advanced("layer", 2),
        Advanced("layer", 0),
        Advanced("layer", 3),
        Finished("layer"),
    ]


def test_tracked_chunks_can_be_read_again() -> None:
    events: list[Event] = []
    chunks = TrackedChunks((b"ab", b"c"), "layer", None, events.append)
    assert b"".join(chunks) == b"".join(chunks) == b"abc"
    assert events.count(Started("layer", None)) == events.count(Finished("layer")) == 2


def test_the_work_ends_where_an_event_is_refused() -> None:
    read: list[bytes] = []

    def source() -> object:
        for chunk in (b"1", b"2", b"3"):
            read.append(chunk)
            yield chunk

    def refuse(event: Event) -> None:
        if read == [b"1", b"2"]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(track_chunks(source(), "layer", None, refuse))  # type: ignore[arg-type]
    assert read == [b"1", b"2"]


def test_the_seconds_of_a_step_add_up_also_when_it_fails() -> None:
    events: list[Event] = []
    timings = {"pack": 10.0}
    with time_step("pack", timings, events.append):
        pass
    with pytest.raises(ValueError), time_step("plan", timings, ignore_event):
        raise ValueError
    assert timings["pack"] >= 10.0
    assert timings["plan"] >= 0.0
    assert events == [Step("pack")]
