"""Signals that stop transfers, and what they leave behind."""

from __future__ import annotations

import pytest

from modelcrate.net.cancellation import Cancelled, Halted, StopSignal


def test_a_signal_reaches_children_and_not_parents() -> None:
    parent = StopSignal()
    child = StopSignal(parent)
    child.check()
    child.halt()
    with pytest.raises(Halted):
        child.check()
    parent.check()
    parent.cancel()
    with pytest.raises(Cancelled):
        child.check()


def test_cancelling_goes_over_halting() -> None:
    signal = StopSignal()
    signal.halt()
    signal.cancel()
    with pytest.raises(Cancelled):
        signal.check()
