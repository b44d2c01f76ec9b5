"""How long the steps and tasks of a build took: a flame chart, and the same as a table."""

from __future__ import annotations

from modelcrate.project.byte_sizes import format_size
from modelcrate.reports.map_view import role
from modelcrate.reports.markup import Markup, clean, join, size, table, tag
from modelcrate.reports.timeline import Span, Timeline, place_in_lanes

ROW = 22
"""Pixels of a lane."""

MAX_DRAWN = 400
"""Tasks in the picture, the longest ones."""

MAX_LISTED = 60
"""Tasks in the table, the longest ones."""


def time(timeline: Timeline) -> Markup:
    """Returns the picture and the table of a build."""
    steps = [each for each in timeline.spans if each.step]
    tasks = [each for each in timeline.spans if not each.step]
    longest = sorted(tasks, key=lambda each: (-each.seconds, each.begin, each.label))
    drawn = set(longest[:MAX_DRAWN])
    return join(_picture(timeline, steps, [each for each in tasks if each in drawn]), _table(timeline, steps, longest))


def seconds(value: float) -> str:
    """Returns a duration for people: `850 ms`, `12.3 s`, `4 min 10 s`."""
    if value < 0.9995:
        return f"{value * 1000:.0f} ms"
    if value < 120:
        return f"{value:.1f} s"
    return f"{int(value) // 60} min {int(value) % 60} s"


def _picture(timeline: Timeline, steps: list[Span], tasks: list[Span]) -> Markup:
    whole = timeline.seconds or 1.0
    placed = [(lane + 1, each) for lane, each in place_in_lanes(tasks)]
    lanes = 1 + max((lane for lane, _ in placed), default=0)
    pieces = [_axis(whole, at, lanes) for at in (0.25, 0.5, 0.75)]
    pieces += [_box(each, 0, whole, f"f-step f-{number % 3}") for number, each in enumerate(steps)]
    pieces += [_box(each, lane, whole, f"f-task {role(each.label.partition(':')[0])}") for lane, each in placed]
    label = f"{len(steps)} steps in the upper row and {len(tasks)} tasks below, over {seconds(whole)}"
    return tag(
        "svg", *pieces, cls="flame", role="img", width="100%", height=lanes * ROW + 22, aria_label=label
    )  # fmt: skip


def _axis(whole: float, share: float, lanes: int) -> Markup:
    x = f"{share * 100:.0f}%"
    line = tag("line", x1=x, x2=x, y1="0", y2=lanes * ROW, cls="axis")
    return join(line, tag("text", seconds(whole * share), x=x, y=lanes * ROW + 16, cls="tick"))


def _box(each: Span, lane: int, whole: float, kind: str) -> Markup:
    width = max(0.1, 100 * each.seconds / whole)
    words = [tag("text", clean(each.label)[:80], x="5", y="15")] if width > 3 else []
    told = f"{each.label}: {seconds(each.seconds)}" + (f", {format_size(each.count)}" if each.count else "")
    return tag(
        "svg",
        tag("rect", width="100%", height=ROW - 3, rx="3", cls=kind),
        *words,
        tag("title", told + (f", {each.note}" if each.note else "")),
        x=f"{100 * each.begin / whole:.3f}%",
        y=lane * ROW,
        width=f"{width:.3f}%",
        height=ROW - 3,
    )


def _table(timeline: Timeline, steps: list[Span], longest: list[Span]) -> Markup:
    def row(each: Span, kind: str) -> Markup:
        rate = f"{format_size(each.count / each.seconds)}/s" if each.count and each.seconds > 0 else ""
        return tag(
            "tr",
            tag("td", kind),
            tag("td", each.label, *([f" ({each.note})"] if each.note else []), cls="path"),
            tag("td", seconds(each.begin), cls="n"),
            tag("td", seconds(each.seconds), cls="n"),
            size(each.count) if each.count else tag("td"),
            tag("td", rate, cls="n"),
        )

    rows = [row(each, "step") for each in steps] + [row(each, "task") for each in longest[:MAX_LISTED]]
    left = len(longest) - MAX_LISTED + timeline.left_out
    rest = [tag("p", f"{left} shorter tasks are not listed; --trace has them.", cls="faint")] if left > 0 else []
    head = ("kind", "what", "began at", "took", "bytes", "rate")
    shown = table("Steps, and the longest tasks", head, rows, numbers=(2, 3, 4, 5))
    return join(tag("details", tag("summary", "As a table"), shown, *rest))
