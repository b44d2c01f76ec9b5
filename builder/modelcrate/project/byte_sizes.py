"""Numbers of bytes as text: `2GB` of a setting, and `55.2 MB` for people. Pure."""

from __future__ import annotations

import re

from modelcrate_layers.errors import UserError

GRAMMAR = r"[0-9]{1,15}(\.[0-9]{1,3})? ?([kKmMgGtT]i?)?[bB]?"
"""A number, and a unit of 1000 (kB, MB, GB, TB) or 1024 (KiB, MiB, GiB, TiB); without a unit, bytes."""

_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_size(text: str) -> int:
    """Returns the number of bytes that a text such as `2GB` or `1.5 GiB` means.

    Raises:
        UserError: It is no size.
    """
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,3})?) ?([kmgt]?)(i?)b?", text.strip().lower())
    if found is None or not float(found[1]) or (found[3] and not found[2]):
        raise UserError(f"not a size: {text[:80]!r}", hint="expected for instance 2GB, 500MB or 1.5GiB")
    factor: int = (1024 if found[3] else 1000) ** _POWERS[found[2]]
    return round(float(found[1]) * factor)


def format_size(count: float) -> str:
    """Returns a number of bytes in decimal units, such as `55.2 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
