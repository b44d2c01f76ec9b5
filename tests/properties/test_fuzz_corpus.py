"""The parsers that `make fuzz` runs, over its seeds and over everything that it ever found: an answer or an error of ours, in bounded time."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.waiting import processor_limit

TOP = Path(__file__).parents[2]
sys.path.append(str(TOP))  # `fuzz` is beside the sources, as `bench` is

from fuzz import seeds, targets  # noqa: E402

SECONDS = 10
"""Processor time for one input: a busy machine makes no input slow."""


@pytest.mark.parametrize("name", targets.TARGETS)
def test_every_seed_and_finding_gives_an_answer_or_an_error_of_ours(name: str) -> None:
    ran = 0
    for title, data in seeds.of(name):
        with processor_limit(SECONDS, title):
            targets.run(name, data)
        ran += 1
    assert ran, "a parser without a seed"


@pytest.mark.parametrize("name", targets.TARGETS)
@given(st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_damaged_seed_gives_an_answer_or_an_error_of_ours(name: str, draw: st.DataObject) -> None:
    data = bytearray(draw.draw(st.sampled_from(_seeds(name))))
    for _ in range(draw.draw(st.integers(1, 4))):
        at = draw.draw(st.integers(0, len(data)))
        match draw.draw(st.sampled_from(["change", "cut", "put", "repeat"])):
            case "change":
                data[at : at + 1] = draw.draw(st.binary(min_size=1, max_size=1))
            case "cut":
                del data[at : at + draw.draw(st.integers(1, 20))]
            case "put":
                data[at:at] = draw.draw(st.binary(max_size=12))
            case "repeat":
                data[at:at] = data[at : at + draw.draw(st.integers(1, 40))]
    targets.run(name, bytes(data))


@cache
def _seeds(name: str) -> list[bytes]:
    return [data for _, data in seeds.of(name)]


def test_every_folder_is_a_parsers() -> None:
    folders = {path.name for part in ("corpus", "found") for path in (TOP / "fuzz" / part).glob("*")}
    assert folders <= targets.TARGETS.keys()
