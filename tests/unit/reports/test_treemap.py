"""Boxes of a map: areas in proportion, inside the room, none over another."""

from __future__ import annotations

import math
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from modelcrate.reports.treemap import Box, squarify

ROOM = Box(10, 20, 800, 450)


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=40))
def test_areas_are_in_proportion_and_fill_the_room(sizes: list[int]) -> None:
    sizes = sorted(sizes, reverse=True)
    found = squarify(sizes, ROOM)
    scale = ROOM.width * ROOM.height / sum(sizes)
    for size, box in zip(sizes, found, strict=True):
        assert math.isclose(box.width * box.height, size * scale, rel_tol=1e-6, abs_tol=1e-6)
    assert math.isclose(sum(each.width * each.height for each in found), ROOM.width * ROOM.height, rel_tol=1e-6)


@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=25))
def test_no_box_lies_over_another_or_outside(sizes: list[int]) -> None:
    found = squarify(sorted(sizes, reverse=True), ROOM)
    near = 1e-6
    for each in found:
        assert each.x >= ROOM.x - near
        assert each.y >= ROOM.y - near
        assert each.x + each.width <= ROOM.x + ROOM.width + near
        assert each.y + each.height <= ROOM.y + ROOM.height + near
    for one, other in combinations(found, 2):
        wide = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
        high = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
        assert wide <= near or high <= near


def test_equal_sizes_are_nearly_squares() -> None:
    assert all(0.4 < each.width / each.height < 2.5 for each in squarify([1.0] * 30, ROOM))


def test_nothing_takes_no_room() -> None:
    assert squarify([], ROOM) == []
    assert [each.width * each.height for each in squarify([0, 0], ROOM)] == [0, 0]
    found = squarify([5, 0], ROOM)
    assert math.isclose(found[0].width * found[0].height, ROOM.width * ROOM.height)
    assert found[1].width * found[1].height == 0
