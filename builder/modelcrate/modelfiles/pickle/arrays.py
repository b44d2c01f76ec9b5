"""How many bytes an array has that joblib wrote raw into the middle of a pickle. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from modelcrate.modelfiles.pickle.findings import MadeObject, is_named
from modelcrate.modelfiles.pickle.opcodes import OPAQUE
from modelcrate_layers.errors import IntegrityError

_KIND = re.compile(r"[<>=|]?([?bBhHiIulLqQefdgFDGSaUVmMpPnNc])([0-9]{0,9})(\[.{1,20}\])?")
_LETTERS = {
    **dict.fromkeys("?bBc", 1),
    **dict.fromkeys("hHe", 2),
    **dict.fromkeys("iIuf", 4),
    **dict.fromkeys("lLqQdFpPnNmM", 8),
    **dict.fromkeys("gD", 16),
    "G": 32,
}
"""Bytes of kinds that are written as one letter, on 64-bit Linux."""

_ARRAY_MAX = 1 << 46


def array_bytes(state: Mapping[str, object], dtype: tuple[str, int | None] | None) -> int | None:
    """The length in bytes; None for an array of objects, whose bytes are a pickle.

    `state` is that of joblib's wrapper, `dtype` a kind such as `f8` and the size that its state tells. Anything else is an IntegrityError.
    """
    shape = state.get("shape")
    if dtype is None or not isinstance(shape, tuple):
        raise IntegrityError("has an array of joblib's whose type or shape is no plain value")
    if dtype[0].lstrip("<>=|")[:1] == "O":
        return None
    if not all(isinstance(side, int) and 0 <= side < _ARRAY_MAX for side in shape):
        raise IntegrityError("has an array with an impossible shape")
    size = math.prod(side for side in shape if isinstance(side, int)) * item_bytes(*dtype)
    if size > _ARRAY_MAX:
        raise IntegrityError("has an array larger than any memory")
    return size


def item_bytes(kind: str, told: int | None) -> int:
    """The size of one item."""
    match = _KIND.fullmatch(kind)
    if match is None:
        raise IntegrityError(f"has an array of the unknown type {kind[:40]!r}")
    letter, digits = match[1], match[2]
    if letter in "SaVU":  # numpy lets the state decide these
        return told or int(digits or "0") * (4 if letter == "U" else 1)
    return int(digits) if digits else _LETTERS[letter]


def dtype_of(value: object) -> tuple[str, int | None] | None:
    """What numpy.dtype was called with, and the size in bytes that its state tells, if it does."""
    if not isinstance(value, MadeObject) or not is_named(value.what, "numpy", "dtype") or not value.arguments:
        return None
    kind = value.arguments[0]
    size = value.state[5] if isinstance(value.state, tuple) and len(value.state) > 5 else None
    if isinstance(value.state, tuple) and len(value.state) > 4 and value.state[4] not in (None, OPAQUE):
        return ("|V", size) if isinstance(size, int) and size > 0 and _plain_fields(value.state[4]) else None
    return (kind, size if isinstance(size, int) and size > 0 else None) if isinstance(kind, str) else None


def _plain_fields(fields: object) -> bool:
    """Whether no field of a record is an object."""
    if not isinstance(fields, dict):
        return False
    found = [dtype_of(each[0]) if isinstance(each, tuple) and each else None for each in fields.values()]
    return all(each is not None and each[0].lstrip("<>=|")[:1] != "O" for each in found)
