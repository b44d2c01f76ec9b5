"""The map on a page: a picture of two levels for readers without scripts, the text for those with them, and the same as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote

from modelcrate.project.byte_sizes import format_size
from modelcrate.reports.facts import ImageFacts, LayerFacts, Node
from modelcrate.reports.map_text import ROLES, MapText
from modelcrate.reports.markup import Markup, bar, clean, join, size, table, tag
from modelcrate.reports.treemap import Box, squarify

HEIGHT = 440
"""Pixels of the picture."""

MAX_FILES = 40
"""The largest files that are listed."""

MAX_DRAWN = 250
"""Boxes of the picture below those of the first level, the largest ones."""

_SMALL = 26.0
"""Pixels below which a box of a picture 1000 wide has no name."""


def address(*names: str) -> str:
    """Returns the link to a box of the map, from the names of the boxes that it is in."""
    return "#map=" + "/".join(quote(clean(name), safe="") for name in names)


def role(word: str) -> str:
    """Returns the class with the colour of a role."""
    return f"r-{word}" if word in ROLES else "r-other"


def picture(root: Node) -> Markup:
    """Returns the map as a picture: the boxes of the image, and those in them."""
    top = _falling(root)
    if not top:
        return tag("p", "Nothing takes any room.")
    pieces, inner = [], []
    for each, box in zip(top, squarify([one.size for one in top], Box(0, 0, 1000, HEIGHT)), strict=True):
        pieces.append(_placed(each, box, "b1", role(each.role)))
        inside = Box(box.x + 3, box.y + 20, box.width - 6, box.height - 23)
        if inside.width > _SMALL and inside.height > _SMALL:
            below = _inside(each)
            placed = zip(below, squarify([one.size for one in below], inside), strict=True)
            inner += [(one, its, role(each.role)) for one, its in placed if its.width > 3 and its.height > 3]
    inner.sort(key=lambda each: (-each[1].width * each[1].height, each[0].name))
    pieces += [_placed(one, its, "b2", colour) for one, its, colour in inner[:MAX_DRAWN]]
    return tag(
        "svg",
        *pieces,
        id="picture",
        role="img",
        width="100%",
        height=HEIGHT,
        aria_label=f"Areas by unpacked size: {', '.join(f'{each.name} {format_size(each.size)}' for each in top[:6])}",
    )


def tables(facts: ImageFacts, layers: Sequence[LayerFacts]) -> Markup:
    """Returns the layers and the largest files as tables, with links into the map."""
    most = max((each.stored for each in layers), default=0) or 1
    several = len({each.platform for each in layers}) > 1
    rows = [
        tag(
            "tr",
            tag("td", _swatch(each.role), each.role),
            tag("td", tag("a", each.name, href=address(*([each.platform] if several else []), each.name))),
            size(each.stored),
            size(each.unpacked),
            tag("td", bar(each.stored / most, role(each.role)), cls="bars"),
        )
        for each in layers
        if each.state != "gone"
    ]
    files = sorted(_files(facts.map), key=lambda each: (-each[0].size, each[1]))
    listed = [
        tag("tr", tag("td", tag("a", "/".join(names), href=address(*names)), cls="path"), size(each.size))
        for each, names in files[:MAX_FILES]
    ]
    return join(
        table("Layers, lowest first", ("role", "layer", "stored", "unpacked", "share"), rows, numbers=(2, 3)),
        table(f"The {len(listed)} largest files", ("file", "unpacked"), listed, numbers=(1,)),
    )


def legend(roles: Sequence[str]) -> Markup:
    """Returns the colours of the roles."""
    return tag("ul", *(tag("li", _swatch(each), each) for each in dict.fromkeys(roles)), cls="legend")


def data(text: MapText, attributes: str) -> Markup:
    """Returns the text for the script, with what the script has to know of it as JSON."""
    return Markup(
        f'<script type="text/plain" id="lines">\n{text.text}\n</script>'
        f'<script type="application/json" id="facts">{attributes.replace("<", chr(92) + "u003c")}</script>'
    )


def _swatch(word: str) -> Markup:
    return tag("span", cls=f"swatch {role(word)}", aria_hidden="true")


def _falling(node: Node) -> list[Node]:
    return sorted((each for each in node.children if each.size > 0), key=lambda each: (-each.size, each.name))


def _inside(node: Node) -> list[Node]:
    """Returns the boxes to draw in one: those in its only box, where it has only one."""
    inner = [each for each in _falling(node) if each.kind != "rest" or each.size > node.size / 50]
    while len(inner) == 1 and inner[0].children:
        inner = _falling(inner[0])
    return inner


def _placed(node: Node, box: Box, level: str, colour: str) -> Markup:
    words = []
    if box.width > 2 * _SMALL and box.height > 14:
        words = [tag("text", clean(node.name), x="5", y="15")]
    return tag(
        "svg",
        tag("rect", width="100%", height="100%", cls=f"{level} {colour}"),
        *words,
        tag("title", f"{node.name}: {format_size(node.size)}"),
        x=f"{box.x / 10:.2f}%",
        y=f"{box.y:.1f}",
        width=f"{box.width / 10:.2f}%",
        height=f"{box.height:.1f}",
    )


def _files(node: Node, names: tuple[str, ...] = ()) -> Iterator[tuple[Node, tuple[str, ...]]]:
    for each in node.children:
        if each.kind == "file":
            yield each, (*names, each.name)
        else:
            yield from _files(each, (*names, each.name))
