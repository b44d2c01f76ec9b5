"""Squares of a map: areas in proportion to sizes, as square as they can be (Bruls, Huizing and van Wijk, 2000). Pure."""

from __future__ import annotations

from collections.abc import Sequence

from modelcrate_layers.frozen import NamedTuple


class Box(NamedTuple):
    """A rectangle: where its left upper corner is, its width and its height."""

    x: float
    y: float
    width: float
    height: float


def squarify(sizes: Sequence[float], inside: Box) -> list[Box]:
    """Returns a box for each size, in their order. Together they fill `inside`, and none overlaps another.

    Args:
        sizes: Sizes that are not negative. The picture is best if they fall.
        inside: The room that they share.
    """
    total = sum(sizes)
    if total <= 0 or inside.width <= 0 or inside.height <= 0:
        return [Box(inside.x, inside.y, 0, 0) for _ in sizes]
    scale = inside.width * inside.height / total
    areas = [max(0.0, size) * scale for size in sizes]
    boxes: list[Box] = []
    left, at = inside, 0
    while at < len(areas):
        end = _row_end(areas, at, min(left.width, left.height))
        row = areas[at:end]
        boxes += _row(row, left)
        left = _rest(left, sum(row))
        at = end
    return boxes


def _row_end(areas: Sequence[float], at: int, side: float) -> int:
    """Returns where the row that begins at an index ends: where one more box would make the worst of it worse."""
    total, least, most = areas[at], areas[at], areas[at]
    worst = _worst(total, least, most, side)
    end = at + 1
    while end < len(areas):
        total, least, most = total + areas[end], min(least, areas[end]), max(most, areas[end])
        now = _worst(total, least, most, side)
        if now > worst:
            break
        worst, end = now, end + 1
    return end


def _worst(total: float, least: float, most: float, side: float) -> float:
    if least <= 0 or total <= 0:
        return float("inf")
    return max(side * side * most / (total * total), total * total / (side * side * least))


def _row(row: Sequence[float], left: Box) -> list[Box]:
    total = sum(row)
    wide = left.width >= left.height  # the row is a column at the left
    side = left.height if wide else left.width
    thick = total / side if side > 0 else 0.0
    boxes, at = [], left.y if wide else left.x
    for area in row:
        length = area / thick if thick > 0 else 0.0
        boxes.append(Box(left.x, at, thick, length) if wide else Box(at, left.y, length, thick))
        at += length
    return boxes


def _rest(left: Box, area: float) -> Box:
    if left.width >= left.height:
        taken = area / left.height if left.height > 0 else 0.0
        return Box(left.x + taken, left.y, max(0.0, left.width - taken), left.height)
    taken = area / left.width if left.width > 0 else 0.0
    return Box(left.x, left.y + taken, left.width, max(0.0, left.height - taken))
