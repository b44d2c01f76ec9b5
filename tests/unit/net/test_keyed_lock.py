"""Locks by key: one thread works, and the others wait and can be called off."""

from __future__ import annotations

import threading

import pytest

from modelcrate.net.keyed_lock import KeyedLock
from support.waiting import HANG


def test_other_keys_are_free_and_nothing_is_kept() -> None:
    locks = KeyedLock()
    with locks.hold("a"), locks.hold("b"):
        assert set(locks._locks) == {"a", "b"}
    assert locks._locks == {}


def test_one_thread_at_a_time_has_a_key() -> None:
    locks, order = KeyedLock(), list[str]()
    waiting = threading.Event()

    def second() -> None:
        with locks.hold("a", waiting.set):
            order.append("second")

    thread = threading.Thread(target=second)
    with locks.hold("a"):
        thread.start()
        assert waiting.wait(HANG)
        order.append("first")
    thread.join(HANG)
    assert order == ["first", "second"]
    assert locks._locks == {}


def test_a_wait_can_be_ended() -> None:
    locks = KeyedLock()

    def stop() -> None:
        raise KeyboardInterrupt

    with locks.hold("a"):
        with pytest.raises(KeyboardInterrupt), locks.hold("a", stop):
            raise AssertionError("it is held already")
        assert set(locks._locks) == {"a"}, "the first still holds it"
    assert locks._locks == {}


def test_a_key_is_free_again_after_an_error() -> None:
    locks = KeyedLock()
    with pytest.raises(ValueError), locks.hold("a"):
        raise ValueError
    with locks.hold("a"):
        assert set(locks._locks) == {"a"}
