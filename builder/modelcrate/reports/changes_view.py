"""What differs between two images, besides layers: packages, settings, tensors, files."""

from __future__ import annotations

from collections.abc import Sequence

from modelcrate.inspect.diff import Difference
from modelcrate.reports.comparison import bytes_of
from modelcrate.reports.markup import Markup, join, size, table, tag

MAX_LISTED = 150
"""Rows of each table."""


def changes(found: Difference) -> Markup:
    """Returns a table for each kind of difference that there is."""
    if found.same:
        return tag("p", "Nothing: containers of both images are the same.")
    packages = [tag("tr", tag("td", each, cls="path")) for each in found.packages[:MAX_LISTED]]
    settings = [
        tag(
            "tr",
            tag("td", each.name, cls="path"),
            tag("td", each.before or "none", cls="words"),
            tag("td", each.after or "none", cls="words"),
        )
        for each in found.config[:MAX_LISTED]
    ]
    tensors = [
        tag(
            "tr",
            tag("td", each.name, cls="path"),
            tag("td", each.before or "none", cls="words"),
            tag("td", each.after or "none", cls="words"),
            tag("td", each.path.rpartition("/")[2], cls="path"),
        )
        for each in found.tensors[:MAX_LISTED]
    ]
    ordered = sorted(found.files, key=lambda each: (-bytes_of(each), each.path))
    files = [
        tag(
            "tr",
            tag("td", tag("span", each.state, cls=f"badge s-{each.state}")),
            tag("td", each.path, cls="path"),
            size(each.before.size if each.before else 0),
            size(each.after.size if each.after else 0),
            tag("td", each.how, cls="words"),
        )
        for each in ordered[:MAX_LISTED]
    ]
    return join(
        _part("Packages", ("package",), packages, len(found.packages)),
        _part("Settings", ("setting", "before", "after"), settings, len(found.config)),
        _part("Tensors and headers of models", ("name", "before", "after", "file"), tensors, len(found.tensors)),
        _part("Files, the largest first", ("state", "file", "before", "after", "how"), files, len(found.files), (2, 3)),
    )


def _part(
    caption: str, head: tuple[str, ...], rows: Sequence[Markup], count: int, numbers: tuple[int, ...] = ()
) -> Markup:
    if not rows:
        return Markup("")
    left = count - len(rows)
    rest = [tag("p", f"{left} more are not listed; modelcrate diff lists all.", cls="faint")] if left else []
    return join(table(caption, head, list(rows), numbers=numbers), *rest)
