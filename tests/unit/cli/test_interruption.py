"""Signals that mean the end: heeded once, gently; left alone outside the main thread, and put back afterwards."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from modelcrate.cli.interruption import ENDING, Interrupted, handle_interrupts


@pytest.fixture(autouse=True)
def _not_under_nohup() -> Iterator[None]:
    """Whoever started the tests may have had SIGHUP ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", ENDING)
def test_the_first_signal_cancels_and_raises(number: signal.Signals) -> None:
    before, threads = [signal.getsignal(each) for each in ENDING], set(threading.enumerate())
    cancelled: list[bool] = []
    with pytest.raises(Interrupted) as caught, handle_interrupts(lambda: cancelled.append(True)):
        signal.raise_signal(number)
    assert caught.value.exit_code == 128 + number
    assert cancelled == [True]
    assert [signal.getsignal(each) for each in ENDING] == before
    mine = set(threading.enumerate()) - threads
    assert all(each.finished.is_set() for each in mine if isinstance(each, threading.Timer))


def test_a_second_signal_would_end_the_process() -> None:
    with pytest.raises(Interrupted), handle_interrupts(lambda: None):
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            assert [signal.getsignal(each) for each in ENDING] == [signal.SIG_DFL] * len(ENDING)


def test_nohup_is_obeyed() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with handle_interrupts(lambda: None):
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_leave_signals_alone() -> None:
    seen: list[object] = []

    def work() -> None:
        with handle_interrupts(lambda: None):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]
