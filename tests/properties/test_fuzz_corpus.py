"""The parsers that `make fuzz` runs, over its seeds and over everything that it ever found: an answer or an error of ours, in bounded time."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
sys.path.append(str(TOP))  # `fuzz` is beside the sources, as `bench` is

from fuzz import seeds, targets  # noqa: E402

SECONDS = 10


@pytest.mark.parametrize("name", targets.TARGETS)
def test_every_seed_and_finding_gives_an_answer_or_an_error_of_ours(name: str) -> None:
    ran = 0
    for title, data in seeds.of(name):
        begun = time.monotonic()
        targets.run(name, data)
        assert time.monotonic() - begun < SECONDS, title
        ran += 1
    assert ran, "a parser without a seed"


def test_every_folder_is_a_parsers() -> None:
    folders = {path.name for part in ("corpus", "found") for path in (TOP / "fuzz" / part).glob("*")}
    assert folders <= targets.TARGETS.keys()
