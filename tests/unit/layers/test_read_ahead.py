"""A stream read ahead in a thread: the same bytes, the same faults, few chunks held, and no thread left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.read_ahead import AHEAD, read_ahead
from support.waiting import HANG


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == "read-ahead"]


@pytest.mark.parametrize("count", [0, 1, AHEAD, AHEAD + 1, 100])
def test_the_chunks_come_in_order(count: int) -> None:
    assert list(read_ahead(b"%d" % at for at in range(count))) == [b"%d" % at for at in range(count)]
    assert threads() == []


def test_a_fault_comes_behind_what_was_read_before_it() -> None:
    def source() -> Iterator[bytes]:
        yield b"one"
        raise IntegrityError("damaged")

    found = read_ahead(source())
    assert next(found) == b"one"
    with pytest.raises(IntegrityError, match="damaged"):
        next(found)
    assert threads() == []


def test_a_source_that_can_not_begin_is_a_fault_too() -> None:
    class Source:
        def __iter__(self) -> Iterator[bytes]:
            raise IntegrityError("has another size")

    with pytest.raises(IntegrityError, match="another size"):
        list(read_ahead(Source()))
    assert threads() == []


def test_few_chunks_wait_and_a_reader_that_goes_stops_the_source() -> None:
    taken, closed = [], threading.Event()
    full = threading.Event()

    def source() -> Iterator[bytes]:
        try:
            for at in range(1000):
                taken.append(at)
                if len(taken) > AHEAD:
                    full.set()
                yield b"%d" % at
        finally:
            closed.set()

    found = read_ahead(source())
    assert next(found) == b"0"
    assert full.wait(HANG)
    found.close()  # type: ignore[attr-defined]  # it is a generator
    assert closed.is_set()
    assert len(taken) <= AHEAD + 2
    assert threads() == []


def test_a_source_that_hangs_does_not_hold_a_reader_who_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelcrate_layers.read_ahead.PATIENCE", 0.01)
    go_on, closed = threading.Event(), threading.Event()

    def source() -> Iterator[bytes]:
        try:
            yield b"one"
            go_on.wait(HANG)
            yield b"two"
        finally:
            closed.set()

    found = read_ahead(source())
    assert next(found) == b"one"
    found.close()  # type: ignore[attr-defined]  # it is a generator
    assert not closed.is_set()
    go_on.set()
    assert closed.wait(HANG)


def test_an_empty_chunk_does_not_end_it() -> None:
    assert list(read_ahead([b"", b"x", b""])) == [b"", b"x", b""]
