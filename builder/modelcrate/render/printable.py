"""Foreign text made harmless for a terminal: file names, tags, configs and the answers of registries may hold control characters."""

from __future__ import annotations

import json
from typing import Any


def printable(text: str) -> str:
    r"""Returns a text without characters that a terminal obeys or that change how text around them is shown.

    Control characters (C0, C1), format characters (direction marks, zero width) and lone surrogates become escapes such as `\x1b`.
    Line feeds and tabs stay.
    """
    if all(line.isprintable() for line in text.split("\n")):
        return text
    return "".join(_shown(each) for each in text)


def json_text(value: Any) -> str:
    r"""Returns JSON for people and programs: readable in any language, with every character that is not printable as `\uXXXX`."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    if all(line.isprintable() for line in text.split("\n")):
        return text
    return "".join(each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text)


def _shown(each: str) -> str:
    if each.isprintable() or each in "\n\t\u00a0":
        return each
    return each.encode("unicode_escape").decode("ascii")
