"""Debian's order of versions (deb-version(7)), as a sort key."""

from __future__ import annotations

from collections.abc import Mapping

from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.patterns import compile_later

_VERSION = compile_later(r"(?:([0-9]{1,9}):|(?!.*:))([A-Za-z0-9.+~][A-Za-z0-9.+:~-]{0,199})")
_PAIR = compile_later(r"([^0-9]*)([0-9]*)")

Key = tuple[int, tuple[tuple[tuple[int, ...], int], ...], tuple[tuple[tuple[int, ...], int], ...]]

_HOLDS: Mapping[str, tuple[int, ...]] = {"<<": (-1,), "<=": (-1, 0), "=": (0,), ">=": (0, 1), ">>": (1,)}


def version_key(version: str) -> Key:
    """Returns a value that sorts as dpkg does: epoch, upstream version, Debian revision. Any other text is an IntegrityError."""
    match = _VERSION.fullmatch(version)
    if match is None:
        raise IntegrityError(f"not a version of a Debian package: {version[:100]!r}")
    upstream, _, revision = match[2].rpartition("-") if "-" in match[2] else (match[2], "", "")
    return int(match[1] or 0), _part(upstream), _part(revision or "0")  # no revision is revision 0


def holds(version: str, relation: str, other: str) -> bool:
    """Returns whether `version RELATION other` holds, for a relation of deb-control(5): `<<`, `<=`, `=`, `>=`, `>>`."""
    one, two = version_key(version), version_key(other)
    return (one > two) - (one < two) in _HOLDS[relation]


def _part(text: str) -> tuple[tuple[tuple[int, ...], int], ...]:
    """Splits a version into pairs of non-digits and a number; the end sorts after `~` and before all else."""
    pairs = [((*map(_order, run), 0), int(number or 0)) for run, number in _PAIR.findall(text) if run or number]
    return (*pairs, ((0,), 0))


def _order(char: str) -> int:
    if char == "~":
        return -1
    return ord(char) if char.isalpha() else ord(char) + 256
