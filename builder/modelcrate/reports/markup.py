"""HTML as text, escaped where it is made: nothing else on a page may put foreign words into it."""

from __future__ import annotations

from html import escape

from modelcrate.project.byte_sizes import format_size

_VOID = frozenset({"meta", "link", "input"})
_EMPTY = frozenset({"rect", "line"})
"""Elements of SVG, which have to be closed, and have nothing in them."""


class Markup(str):
    """A text that is HTML already."""

    __slots__ = ()


def clean(text: str) -> str:
    """Returns a text in which every character that is not printable is an escape: control characters, direction marks, lone surrogates."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def tag(name: str, /, *children: str, **attributes: object) -> Markup:
    """Returns an element.

    Args:
        name: Its name.
        *children: Markup as it is, and other texts, which are escaped.
        **attributes: Its attributes; `cls` is `class`, `_` is `-`. One that is None or False is left out, and True has no value.
    """
    words = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        word = "class" if key == "cls" else key.rstrip("_").replace("_", "-")
        words.append(word if value is True else f'{word}="{escape(clean(str(value)))}"')
    inner = "".join(each if isinstance(each, Markup) else escape(clean(each)) for each in children)
    opened = " ".join(words)
    if name in _EMPTY:
        return Markup(f"<{opened}/>")
    return Markup(f"<{opened}>" if name in _VOID else f"<{opened}>{inner}</{name}>")


def join(*pieces: str) -> Markup:
    """Returns pieces one after the other; texts that are not markup are escaped."""
    return Markup("".join(each if isinstance(each, Markup) else escape(clean(each)) for each in pieces))


def size(count: int | None) -> Markup:
    """Returns a cell with a number of bytes; the exact number is its title."""
    if count is None:
        return tag("td", "unknown", cls="n")
    return tag("td", format_size(count), cls="n", title=f"{count} bytes" if count >= 1000 else None)


def table(caption: str, head: tuple[str, ...], rows: list[Markup], *, numbers: tuple[int, ...] = ()) -> Markup:
    """Returns a table that can be scrolled sideways on a narrow screen.

    Args:
        caption: What it has.
        head: The words above the columns.
        rows: Its rows, as markup of `tr`.
        numbers: The columns of numbers, which are aligned to the right.
    """
    cells = [tag("th", word, scope="col", cls="n" if at in numbers else None) for at, word in enumerate(head)]
    made = tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", *cells)),
        tag("tbody", *rows),
    )
    return tag("div", made, cls="wide", tabindex="0", role="region", aria_label=caption)


def bar(share: float, kind: str) -> Markup:
    """Returns a bar for a share of 0 to 1; its words are elsewhere."""
    width = f"{100 * min(1.0, max(0.0, share)):.1f}%"
    return tag(
        "svg", tag("rect", width=width, height="10", rx="2", cls=kind), cls="bar", height="10", aria_hidden="true"
    )
