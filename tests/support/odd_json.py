"""Values that no program expects in a JSON document, and documents that have one of them in any place. Drawn by seed."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 10**400, 1e308, "", "x" * 5000, "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\u202egpj.exe", "²", "٣", "9" * 5000,
    "a\nb", "\0", "../../etc/passwd", "-x", "sha256:" + "0" * 64, "sha256:" + "A" * 64, "sha256:", "md5:" + "0" * 32, "sha512:" + "0" * 128,
    [], {}, [[]], [None], [1], {"a": None}, {"": ""}, "80;touch x", "latest\nEvil: yes", "/", "//", "@", ":", " ", "\u2028", "\ufeff", "𝟙",
)  # fmt: skip


def draw(document: Any, chance: random.Random) -> tuple[Any, str]:
    """Returns a copy of a document in which one place has an odd value, is called otherwise, is gone or stands three times; and what was done."""
    place = chance.choice(list(_places(document)))
    if not place:
        value = chance.choice(VALUES)
        return value, f"the whole is {value!r:.40}"
    changed = copy.deepcopy(document)
    holder = changed
    for step in place[:-1]:
        holder = holder[step]
    last, kind, value = place[-1], chance.random(), chance.choice(VALUES)
    if kind < 0.8:
        holder[last] = value
        return changed, f"{place}: {value!r:.40}"
    if isinstance(holder, list):
        holder *= 3
        return changed, f"{place[:-1]}: three times"
    kept = holder.pop(last)
    if kind < 0.9:
        holder[str(value)[:300]] = kept
        return changed, f"{place}: called {value!r:.40}"
    return changed, f"{place}: gone"


def _places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield above
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield from _places(inner, (*above, step))
