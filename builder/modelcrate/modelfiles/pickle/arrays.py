"""The length in bytes of an array that joblib or numpy wrote raw. Pure.

The model is equal to that of `joblib.numpy_pickle.NumpyArrayWrapper.read_array` and of numpy's `dtype`, for what their own writers
write. Anything else is an IntegrityError: a length that differs from theirs by one byte would hide the opcodes behind the array.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping, Sequence

from modelcrate.modelfiles.pickle.findings import MadeDict, MadeObject, NamedObject, is_named
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.patterns import compile_later

_KIND = compile_later(r"b1|[iu][1248]|f(?:2|4|8|16)|c(?:8|16|32)|[mM]8|[SUV][0-9]{1,9}|O8")
"""The kinds that numpy gives as the first argument of `dtype` when it pickles one: a letter and the item's bytes."""

_NPY_KIND = compile_later(rf"[<>|=]?(?:{_KIND.pattern})|[<>|=]?O|[<>|=]?\?|[<>]?[mM]8\[[0-9a-zA-Z/]{{1,20}}\]")
"""The same with the byte order that the header of an npy file has."""

_HAS_OBJECTS = 1
"""The flag of a dtype whose items are Python objects (NPY_ITEM_HASOBJECT)."""

_KEYS = {"subclass", "shape", "order", "dtype", "allow_mmap"}
_SINCE_1_2 = "numpy_array_alignment_bytes"
_ARRAY_MAX = 1 << 46
_UNUSUAL = "has an array of joblib's with an unusual"


def joblib_array_bytes(state: object) -> tuple[int | None, bool]:
    """Returns the length of an array's raw bytes, and whether padding precedes them.

    Args:
        state: What BUILD gives to a wrapper.

    Returns:
        The length in bytes, None for an array of objects, whose bytes are a pickle of their own; and whether a byte with the length of
        a padding, and the padding, come first.
    """
    if not isinstance(state, MadeDict) or not state.complete or state.keys() - {_SINCE_1_2} != _KEYS:
        raise IntegrityError(f"{_UNUSUAL} state")
    padded = _SINCE_1_2 in state
    if padded and type(state[_SINCE_1_2]) is not int:
        raise IntegrityError(f"{_UNUSUAL} alignment")
    if not isinstance(state["subclass"], NamedObject) or state["order"] not in ("C", "F"):
        raise IntegrityError(f"{_UNUSUAL} class or order")
    size, objects = _item(state["dtype"])
    shape = state["shape"]
    if not isinstance(shape, tuple):
        raise IntegrityError(f"{_UNUSUAL} shape")
    count = _count(shape)
    return (None if objects else count * size), padded


def hides_objects(made: MadeObject) -> bool:
    """Returns whether a pickled `numpy.dtype` may have objects in it that its state denies: numpy then takes bytes of the file for addresses."""
    state = made.state
    kind = made.arguments[0] if made.arguments else None
    if is_named(kind, "numpy", "record") or is_named(kind, "numpy.core.records", "record"):
        kind = "V"  # what the rows of a record array are
    if not isinstance(state, tuple) or len(state) < 8 or not isinstance(kind, str):
        return True  # nothing that numpy writes
    subtype, fields, flags = state[2], state[4], state[7]
    parts = [subtype] if subtype is not None else []
    if fields is not None:
        if not isinstance(fields, MadeDict) or not fields.complete:
            return True
        parts += fields.values()
    inner = [each[0] if isinstance(each, tuple) and each else None for each in parts]
    if not all(isinstance(each, MadeObject) and is_named(each.what, "numpy", "dtype") for each in inner):
        return True
    objects = kind.startswith("O") or any(map(_says_objects, inner))
    return objects and not (type(flags) is int and flags & _HAS_OBJECTS)


def _says_objects(made: object) -> bool:
    """Whether a pickled `numpy.dtype` says that its items are objects."""
    assert isinstance(made, MadeObject)
    flags = made.state[7] if isinstance(made.state, tuple) and len(made.state) > 7 else 0
    kind = made.arguments[0] if made.arguments else ""
    return (isinstance(kind, str) and kind.startswith("O")) or (type(flags) is int and bool(flags & _HAS_OBJECTS))


def npy_array_bytes(header: bytes) -> int | None:
    """Returns the length of the array behind the header of an npy file; None for an array of objects, which is a pickle.

    Args:
        header: The literal of a dict with `descr`, `fortran_order` and `shape` (numpy.lib.format). Python 2 wrote `3L` for 3.
    """
    text = re.sub(r"(?<=[0-9])L\b", "", header.decode("latin-1"))
    try:
        header = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        raise IntegrityError("has a header that is no literal of Python") from None
    if not isinstance(header, dict) or header.keys() != {"descr", "fortran_order", "shape"}:
        raise IntegrityError("has a header without the three keys of an array")
    shape = header["shape"]
    if not isinstance(shape, tuple):
        raise IntegrityError("has a header whose shape is no tuple")
    size, objects = _described(header["descr"])
    count = _count(shape)
    return None if objects else count * size


def _count(shape: Sequence[object]) -> int:
    sides = [side for side in shape if type(side) is int and 0 <= side < _ARRAY_MAX]
    count = math.prod(sides)
    if len(sides) != len(shape) or len(shape) > 64 or count > _ARRAY_MAX:
        raise IntegrityError("has an array of an impossible shape")
    return count


def _described(descr: object) -> tuple[int, bool]:
    """Returns the bytes of an item, and whether it holds objects, for a `descr`: a text, or a list of fields."""
    if isinstance(descr, str):
        if not _NPY_KIND.fullmatch(descr):
            return (
                0,
                True,
            )  # numpy takes many spellings of `object`; what is none of the usual kinds is read as a pickle
        return _bytes(descr.lstrip("<>|="))
    fields = [_described_field(each) for each in descr] if isinstance(descr, list) else []
    if not fields:
        return 0, True
    return sum(size for size, _ in fields), any(objects for _, objects in fields)


def _described_field(field: object) -> tuple[int, bool]:
    if not isinstance(field, tuple) or len(field) not in (2, 3):
        return 0, True
    size, objects = _described(field[1])
    shape = field[2] if len(field) == 3 else ()
    return size * _count(shape if isinstance(shape, tuple) else (shape,)), objects


def _bytes(kind: str) -> tuple[int, bool]:
    letter, digits = kind[0], kind[1:].partition("[")[0]
    if letter == "O":
        return 8, True
    return (1 if letter == "?" else int(digits) * (4 if letter == "U" else 1)), False


def _item(value: object) -> tuple[int, bool]:
    """Returns the bytes of an item, and whether it holds objects, for a pickled `numpy.dtype`."""
    if not isinstance(value, MadeObject) or not is_named(value.what, "numpy", "dtype") or value.builds > 1:
        raise IntegrityError(f"{_UNUSUAL} type")
    arguments = value.arguments
    if not arguments or not isinstance(kind := arguments[0], str) or not _KIND.fullmatch(kind):
        raise IntegrityError(f"{_UNUSUAL} type")
    if any(type(each) not in (bool, int) for each in arguments[1:]) or len(arguments) > 3:
        raise IntegrityError(f"{_UNUSUAL} type")
    size, objects = _bytes(kind)
    if not value.builds:
        return size, objects
    state = value.state
    if not isinstance(state, tuple) or len(state) not in (8, 9):
        raise IntegrityError(f"{_UNUSUAL} type")
    _, _, subtype, names, fields, item_size, _, flags = state[:8]
    if type(item_size) is not int or type(flags) is not int or item_size not in (-1, size):
        raise IntegrityError(f"{_UNUSUAL} type")
    if (names is None) != (fields is None) or (fields is not None and kind[0] != "V"):
        raise IntegrityError(f"{_UNUSUAL} type")
    if subtype is not None and (fields is not None or kind[0] != "V"):
        raise IntegrityError(f"{_UNUSUAL} type")
    if subtype is not None:
        objects = _part_holds_objects(subtype, size)
    if fields is not None:
        objects = _fields_hold_objects(fields)
    if objects != bool(flags & _HAS_OBJECTS):
        raise IntegrityError(f"{_UNUSUAL} type")
    return size, objects


def _part_holds_objects(subtype: object, size: int) -> bool:
    """Whether the items of a field that is an array are objects; `subtype` is a pair of a dtype and a shape, and `size` the bytes of all."""
    if not isinstance(subtype, tuple) or len(subtype) != 2 or not isinstance(subtype[1], tuple):
        raise IntegrityError(f"{_UNUSUAL} type")
    inner, objects = _item(subtype[0])
    if inner * _count(subtype[1]) != size:
        raise IntegrityError(f"{_UNUSUAL} type")
    return objects


def _fields_hold_objects(fields: object) -> bool:
    """Whether a field of a record is an object; `fields` maps names to pairs of a dtype and an offset."""
    if not isinstance(fields, Mapping) or not isinstance(fields, MadeDict) or not fields.complete:
        raise IntegrityError(f"{_UNUSUAL} record")
    found = [_item(each[0]) for each in fields.values() if isinstance(each, tuple) and each]
    if len(found) != len(fields):
        raise IntegrityError(f"{_UNUSUAL} record")
    return any(objects for _, objects in found)
