"""What decided each layer, as a table: its inputs, and how it differs from its counterpart in an earlier image."""

from __future__ import annotations

from collections.abc import Sequence

from modelcrate.project.byte_sizes import format_size
from modelcrate.reports.contents_tree import short
from modelcrate.reports.facts import LayerFacts
from modelcrate.reports.map_view import address, role
from modelcrate.reports.markup import Markup, bar, join, size, table, tag

MAX_INPUTS = 200
"""Inputs of a layer that are listed."""

_STATES = {"same": "same", "changed": "changed", "new": "new", "gone": "gone"}


def why(layers: Sequence[LayerFacts], linked: bool = True) -> Markup:
    """Returns the table of the layers.

    Args:
        layers: The layers.
        linked: Whether the map has a box for each of them.
    """
    several = len({each.platform for each in layers}) > 1
    compared = any(each.state for each in layers)
    most = max((max(each.stored, each.before or 0) for each in layers), default=0) or 1
    head = (
        *(("platform",) if several else ()),
        "layer",
        *(("against before",) if compared else ()),
        "stored",
        "decided by",
    )
    numbers = (len(head) - 2,)
    rows = [_row(each, number, several, compared, most, linked) for number, each in enumerate(layers, 1)]
    return table("Layers and what decided them", head, rows, numbers=numbers)


def _row(each: LayerFacts, number: int, several: bool, compared: bool, most: int, linked: bool) -> Markup:
    names = ([each.platform] if several else []) + [each.name]
    link = tag("a", each.name, href=address(*names)) if linked and each.state != "gone" else tag("span", each.name)
    facts = [tag("dt", "digest"), tag("dd", each.digest)] if each.digest else []
    facts += [tag("dt", "key"), tag("dd", each.key)] if each.key else []
    facts += [tag("dt", "stored as"), tag("dd", each.codec)] if each.codec else []
    cells = [tag("td", each.platform)] if several else []
    cells += [
        tag(
            "th",
            tag("span", tag("span", cls=f"swatch {role(each.role)}", aria_hidden="true"), each.role, cls="role"),
            link,
            scope="row",
        )
    ]
    if compared:
        cells.append(tag("td", _verdict(each, most)))
    told = [tag("p", each.cause, cls="cause")] if each.cause else []
    more = [tag("dl", *facts)] if facts else []
    cells += [size(each.stored), tag("td", *told, _inputs(each.inputs, more), cls="words")]
    return tag("tr", *cells, id=f"layer-{number}", cls=each.state or None)


def _verdict(each: LayerFacts, most: int) -> Markup:
    """Returns the state of a layer in a word, and how much it grew or shrank, with bars for before and after."""
    badge = tag("span", _STATES.get(each.state, each.state), cls=f"badge s-{each.state}")
    growth = each.stored - (each.before or 0)
    if each.state == "same" or not growth:
        return join(badge, tag("span", " no growth", cls="faint"))
    grew = growth > 0
    words = f" {'grew' if grew else 'shrank'} by {format_size(abs(growth))}"
    before, after = (each.before or 0) / most, each.stored / most
    bars = tag("span", bar(before, "before"), bar(after, "grew" if grew else "shrank"), cls="pair")
    return join(badge, tag("span", words, cls="grew" if grew else "shrank"), bars)


def _inputs(inputs: Sequence[str], more: Sequence[Markup]) -> Markup:
    if not inputs and not more:
        return tag("span", "nothing is written down about it", cls="faint")
    listed = [tag("li", each) for each in inputs[:MAX_INPUTS]]
    if len(inputs) > MAX_INPUTS:
        listed.append(tag("li", f"and {len(inputs) - MAX_INPUTS} more"))
    first = ", ".join(map(short, inputs[:2])) + (f" and {len(inputs) - 2} more" if len(inputs) > 2 else "")
    summary = tag("summary", first or "no inputs are written down")
    return tag("details", summary, tag("ul", *listed) if listed else "", *more)
