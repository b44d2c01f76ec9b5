"""Counts of requests and bytes, of a client and of a part of its work."""

from __future__ import annotations

from modelcrate.net.counters import Counters, Traffic


def test_a_part_counts_for_the_whole_as_well() -> None:
    client = Counters()
    part, other = Counters(client), Counters(client)
    part.request("GET")
    part.request("GET")
    other.request("PUT")
    part.received(10)
    other.sent(5)
    assert part.read() == Traffic({"GET": 2}, 0, 10)
    assert other.read() == Traffic({"PUT": 1}, 5, 0)
    assert client.read() == Traffic({"GET": 2, "PUT": 1}, 5, 10)
    assert client.read().total == 3


def test_what_was_read_does_not_change_any_more() -> None:
    counters = Counters()
    before = counters.read()
    counters.request("GET")
    assert before == Traffic()
