"""The page: one file that asks for nothing, with views that can be read without scripts. The same facts give the same bytes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from functools import cache

from modelcrate.project.byte_sizes import format_size
from modelcrate.reports.changes_view import changes
from modelcrate.reports.comparison import Comparison
from modelcrate.reports.facts import ImageFacts, LayerFacts, Node
from modelcrate.reports.map_text import MapText, write_map
from modelcrate.reports.map_view import data, legend, picture, tables
from modelcrate.reports.markup import Markup, join, tag
from modelcrate.reports.time_view import seconds, time
from modelcrate.reports.timeline import Timeline
from modelcrate.reports.trust_view import trust
from modelcrate.reports.why_view import why
from modelcrate_layers.frozen import dataclass

MAX_PAGE = 300_000
"""Bytes of a page, about. The map gets what the other views leave, and its smallest files are shown together where that is not enough."""

MIN_MAP = 60_000
"""Bytes that the map may always have."""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_FOLDER = os.path.dirname(__file__)


@dataclass(frozen=True, slots=True)
class _View:
    """A part of a page: its name in addresses, its title, a sentence about what it answers, and what it shows."""

    name: str
    title: str
    lead: str
    body: Markup


def image_page(facts: ImageFacts, timeline: Timeline | None = None, refusal: str = "") -> bytes:
    """Returns the page about an image.

    Args:
        facts: The facts.
        timeline: When the steps of its build began and ended; None leaves the view out.
        refusal: Why it was not delivered; empty for all others.
    """
    compared = any(each.state for each in facts.layers)
    views = [
        _View("why", "Why", _WHY_COMPARED if compared else _WHY, why(facts.layers)),
        _View("trust", "Trust", _TRUST, trust(facts)),
    ]
    if timeline is not None:
        lead = f"Where the {seconds(timeline.seconds)} of this build went. The only view with times: another build of the same image has others."
        views.insert(1, _View("time", "Time", lead, time(timeline)))
    present = [each for each in facts.layers if each.state != "gone"]
    stored, unpacked = sum(each.stored for each in present), facts.map.size
    stats = [(format_size(stored), "stored"), (format_size(unpacked), "unpacked"), (str(len(present)), "layers")]
    stats += [(str(len(facts.packages)), "packages"), (f"{facts.files:,}".replace(",", " "), "files")]
    if facts.hidden:
        stats.append((format_size(facts.hidden), "hidden by layers above"))
    if timeline is not None:
        stats.append((seconds(timeline.seconds), "build"))
    exact = all(each.exact for each in present)
    told = {"keepers": list(facts.keepers), "exact": exact, "comparison": False}
    return _page(
        f"{facts.title}: report",
        _header(facts.title, [facts.digest], facts.about, stats, refusal),
        _MapPart(
            facts.map,
            _MAP,
            _map_notes(present, exact),
            _switch(),
            legend([each.role for each in present]),
            tables(facts, present),
            told,
        ),
        views,
    )


def comparison_page(before: str, after: str, found: Comparison) -> bytes:
    """Returns the page about the differences between two images.

    Args:
        before: What the earlier image is called.
        after: What the later image is called.
        found: The differences.
    """
    grown = found.after_size - found.before_size
    stats = [
        (format_size(found.before_size), "stored before"),
        (format_size(found.after_size), "stored after"),
        (
            f"{'+' if grown >= 0 else '−'}{format_size(abs(grown))}",
            "grew" if grown > 0 else "shrank" if grown < 0 else "growth",
        ),
        (str(sum(each.state not in ("same", "") for each in found.layers)), "layers that differ"),
        (str(len(found.difference.files)), "files that differ"),
    ]
    told = {"keepers": [], "exact": False, "comparison": True}
    lead = "Every file that differs, by its unpacked size: red is added, green is removed, amber is changed."
    notes = "Layers that both images have are not read."
    views = [
        _View("why", "Why", _WHY_COMPARED, why(found.layers, linked=False)),
        _View("changes", "Changes", "Packages, settings, tensors and files that differ.", changes(found.difference)),
    ]
    return _page(
        f"{before} to {after}: differences",
        _header("What changed", [f"before: {before}, {found.before}", f"after: {after}, {found.after}"], (), stats),
        _MapPart(found.map, lead, notes, Markup(""), Markup(""), Markup(""), told),
        views,
    )


_WHY = (
    "What each layer was made of. Equal inputs give equal bytes, so a layer is made again only if one of them changes."
)
_WHY_COMPARED = (
    "What decided each layer, held against the earlier image: which layers are the same, and which inputs made the others differ. "
    "Red bars grew, green bars shrank, grey is before."
)
_TRUST = join(
    "What is known of the contents, and who says so. Signatures are listed here, and verified by ",
    tag("code", "modelcrate verify IMAGE --key KEY"),
    ".",
)


_MAP = "What takes the room: image, layer, package, file, tensor. Press a box to go into it, and Escape to come out."


def _map_notes(layers: Sequence[LayerFacts], exact: bool) -> str:
    """Returns what a reader has to know of the numbers, and of what is missing."""
    text = "Added: what would vanish without a package, which is itself and all that only it needs."
    if not exact:
        text += (
            " Stored: a layer is compressed as a whole, so what is in one has an estimate, its share by unpacked size."
        )
    if unread := sum(not each.read for each in layers):
        text += f" {unread} of the layers {'are' if unread > 1 else 'is'} not on this machine and {'were' if unread > 1 else 'was'} not read:"
        text += " a single box each; modelcrate inspect IMAGE --html FILE fetches them."
    return text


def _switch() -> Markup:
    words = {
        "stored": "bytes in a registry",
        "unpacked": "bytes in a container",
        "added": "unpacked; packages lie inside those that they are only there for",
    }
    labels = [
        tag("label", tag("input", type="radio", name="size", value=each, title=title, checked=each == "stored"), each)
        for each, title in words.items()
    ]
    return tag("fieldset", tag("legend", "Size of the boxes"), *labels)


@dataclass(frozen=True, slots=True)
class _MapPart:
    """What the view with the map is made of. `told` is what the page's script has to know."""

    root: Node
    lead: str
    notes: str
    switch: Markup
    legend: Markup
    tables: Markup
    told: dict[str, object]


def _page(title: str, header: Markup, part: _MapPart, views: Sequence[_View]) -> bytes:
    fixed = _filled(title, header, part, views, MapText(""))
    text = write_map(part.root, max(MIN_MAP, MAX_PAGE - len(fixed.encode()) - 400))
    return _filled(title, header, part, views, text).encode()


def _filled(title: str, header: Markup, part: _MapPart, views: Sequence[_View], text: MapText) -> str:
    left = ""
    if text.left_out:
        left = f" {text.left_out} small files and tensors, {format_size(text.left_out_size)} together, are shown only as sums: a page has a limit."
    tools = tag(
        "div",
        part.switch,
        tag("input", id="search", type="search", placeholder="Search", aria_label="Search the map", autocomplete="off"),
        tag("p", id="told", role="status"),
        id="tools",
        hidden=True,
    )
    zoom = tag(
        "div",
        tag("div", tag("div", id="boxes", role="group", aria_label="The map"), tag("p", id="readout")),
        tag("ul", id="here", tabindex="0", aria_label="What is in this box, largest first"),
        id="zoom",
        hidden=True,
    )
    shown = join(
        tools,
        tag("nav", tag("ol"), id="crumbs", aria_label="Place in the map"),
        zoom,
        picture(part.root),
        part.legend,
        tag("p", part.notes + left, cls="notes"),
        tag("details", tag("summary", "As tables"), part.tables, id="tables", open=True) if part.tables else Markup(""),
    )
    every = [_View("map", "Map", part.lead, shown), *views]
    links = [tag("li", tag("a", each.title, href=f"#{each.name}")) for each in every]
    sections = [
        tag(
            "section",
            tag("h2", each.title, id=f"{each.name}-title"),
            tag("p", each.lead, cls="lead"),
            each.body,
            id=each.name,
            aria_labelledby=f"{each.name}-title",
        )
        for each in every
    ]
    body = join(
        tag("a", "To the contents", href="#main", cls="skip"),
        header,
        tag("nav", tag("ul", *links), cls="views", aria_label="Views"),
        tag("main", *sections, id="main"),
        tag("footer", "Made by modelcrate. This page is one file and asks for nothing from anywhere."),
        data(
            text,
            json.dumps(
                {**part.told, "endings": text.endings, "whats": text.whats}, sort_keys=True, separators=(",", ":")
            ),
        ),
        Markup(f"<script>{_file('page.js')}</script>"),
    )
    head = join(
        tag("meta", charset="utf-8"),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        tag("link", rel="icon", href="data:,"),
        Markup(f"<style>{_file('page.css')}</style>"),
    )
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>{body}</body></html>\n'


def _header(
    title: str,
    lines: Sequence[str],
    about: Sequence[tuple[str, str]],
    stats: Sequence[tuple[str, str]],
    refusal: str = "",
) -> Markup:
    return tag("header", *_header_parts(title, lines, about, stats, refusal))


def _header_parts(
    title: str,
    lines: Sequence[str],
    about: Sequence[tuple[str, str]],
    stats: Sequence[tuple[str, str]],
    refusal: str,
) -> Iterator[Markup]:
    yield tag("h1", title)
    yield from (tag("p", line, cls="digest") for line in lines)
    if refusal:
        yield tag("p", tag("b", "Not delivered: "), refusal, cls="refusal")
    if about:
        yield tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in about), cls="about")
    yield tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for value, name in stats), cls="stats")


@cache
def _file(name: str) -> str:
    with open(os.path.join(_FOLDER, name), encoding="utf-8") as file:
        return file.read()
