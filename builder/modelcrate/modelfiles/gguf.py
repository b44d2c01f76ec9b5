"""The header of a GGUF file (llama.cpp), versions 2 and 3: its metadata and its tensors. No byte of a tensor is read."""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

from modelcrate.modelfiles.byte_reader import ByteReader
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass

MAX_TENSORS = 1_000_000
MAX_PAIRS = 100_000
MAX_ITEMS = 1 << 24
"""Items of one array: vocabularies have some hundred thousand."""

TEMPLATE = "tokenizer.chat_template"
"""How the keys of chat templates begin, which llama.cpp and its bindings run as Jinja."""

_ALIGNMENT = "general.alignment"
_USUAL_ALIGNMENT = 32
_TEXT, _ARRAY = 8, 9
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_KEPT = 200
_TYPES: Mapping[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 40),
    10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136), 24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4),
    27: ("I64", 1, 8), 28: ("F64", 1, 8), 29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17), 40: ("NVFP4", 64, 36), 41: ("Q1_0", 128, 18),
}  # fmt: skip
"""The types of tensors: their names, the elements of a block, and its bytes (ggml's block structures)."""


def unknown_types(tensors: Iterable[tuple[str, tuple[int, ...], int]]) -> list[int]:
    """Returns the numbers of the types that are not known here, so that nobody can say where their tensors end."""
    return sorted({kind for _, _, kind in tensors} - _TYPES.keys())


def type_name(kind: int) -> str:
    """Returns the name of a tensor type by its number."""
    return _TYPES[kind][0] if kind in _TYPES else f"type {kind}"


@dataclass(frozen=True, slots=True)
class Gguf:
    """The header of a GGUF file: its version, metadata and tensors."""

    version: int
    metadata: Mapping[str, object]
    tensors: tuple[tuple[str, tuple[int, ...], int], ...]
    """Name, shape and the number of the type."""
    templates: tuple[tuple[str, str | None], ...] = ()
    """The chat templates by their keys; None for one that is too long to be read."""
    starts: tuple[int, ...] = ()
    """Where the tensors begin, in bytes from the beginning of the file."""

    @property
    def parameters(self) -> int:
        """The number of elements of all tensors together."""
        return sum(math.prod(shape) for _, shape, _ in self.tensors)

    def facts(self) -> dict[str, Any]:
        """Returns the facts for a report, as JSON values."""
        plain = {key: value for key, value in self.metadata.items() if key.startswith("general.")}
        types = Counter(type_name(kind) for _, _, kind in self.tensors)
        return {
            "version": self.version,
            "tensors": len(self.tensors),
            "parameters": self.parameters,
            "dtypes": dict(sorted(types.items())),
            "metadata": dict(sorted(plain.items())),
        }


def read(file: BinaryIO, size: int) -> Gguf:
    """Returns the header. Short numbers and texts are kept, arrays are passed over.

    Raises:
        IntegrityError: The header is damaged.
    """
    file.seek(0)
    tape = ByteReader(file)
    if tape.read(4) != b"GGUF":
        raise IntegrityError("is no GGUF file")
    version, tensors, pairs = struct.unpack("<IQQ", tape.read(20))
    if version not in (2, 3) or tensors > MAX_TENSORS or pairs > MAX_PAIRS:
        raise IntegrityError(f"is a GGUF file that can't be: version {version}, {tensors} tensors, {pairs} values")
    metadata: dict[str, object] = {}
    templates: list[tuple[str, str | None]] = []
    for _ in range(pairs):
        key, kind = _text(tape, size), _u32(tape)
        if key.startswith(TEMPLATE) and kind == _TEXT:
            text = _text(tape, size)
            templates.append((key, text or None))
            continue
        value = _value(tape, kind, size)
        if value is not None and len(metadata) < 1000:
            metadata[key] = value
    found: list[tuple[str, tuple[int, ...], int]] = []
    offsets: list[int] = []
    for _ in range(tensors):
        name, shape, kind, offset = _tensor(tape, size)
        found.append((name, shape, kind))
        offsets.append(offset)
    aligned = metadata.get(_ALIGNMENT)
    step = aligned if type(aligned) is int and aligned > 0 else _USUAL_ALIGNMENT
    data = tape.position + -tape.position % step
    starts = tuple(data + each for each in offsets)
    _check_end(tape.position, found, starts, step, size)
    return Gguf(version, metadata, tuple(found), tuple(templates), starts)


def _check_end(
    header: int, tensors: list[tuple[str, tuple[int, ...], int]], starts: tuple[int, ...], step: int, size: int
) -> None:
    """Compares the end of the last tensor with that of the file; of an unknown type nobody here knows the bytes."""
    if unknown_types(tensors):
        return
    end = header
    for (_, shape, kind), start in zip(tensors, starts, strict=True):
        _, elements, block = _TYPES[kind]
        end = max(end, start + -(-math.prod(shape) // elements) * block)
    if end > size:
        raise IntegrityError(f"is cut short: its tensors end at byte {end}, and it has {size}")
    if size > end + -end % step:
        raise IntegrityError(f"has {size - end} bytes behind its tensors, which end at byte {end}")


def _tensor(tape: ByteReader, size: int) -> tuple[str, tuple[int, ...], int, int]:
    """Returns the name, the shape, the number of the type, and the offset behind the header."""
    name, sides = _text(tape, size), _u32(tape)
    if sides > 8:
        raise IntegrityError(f"has a tensor of {sides} dimensions")
    shape = struct.unpack(f"<{sides}Q", tape.read(8 * sides))
    kind, offset = struct.unpack("<IQ", tape.read(12))
    if offset > size or math.prod(shape) > 1 << 48:
        raise IntegrityError(f"has a tensor that can't lie in it: {name[:80]!r}")
    return name, shape, kind, offset


def _value(tape: ByteReader, kind: int, size: int) -> object:
    """A number or a short text; None for what is passed over."""
    if kind == _TEXT:
        text = _text(tape, size)
        return text if len(text) <= _KEPT else None
    if kind == _ARRAY:
        inner, count = struct.unpack("<IQ", tape.read(12))
        if count > MAX_ITEMS or inner == _ARRAY:
            raise IntegrityError(f"has an array of {count} items, or of arrays")
        if inner == _TEXT:
            for _ in range(count):
                tape.skip(_length(tape, size))
        else:
            tape.skip(count * struct.calcsize("<" + _letter(inner)))
        return None
    letter = "<" + _letter(kind)
    number = struct.unpack(letter, tape.read(struct.calcsize(letter)))[0]
    return number if not isinstance(number, float) or math.isfinite(number) else None


def _letter(kind: int) -> str:
    if kind not in _NUMBERS:
        raise IntegrityError(f"has a value of the unknown type {kind}")
    return _NUMBERS[kind]


def _u32(tape: ByteReader) -> int:
    return int.from_bytes(tape.read(4), "little")


def _length(tape: ByteReader, size: int) -> int:
    length = int.from_bytes(tape.read(8), "little")
    if length > size:
        raise IntegrityError("has a text longer than itself")
    return length


def _text(tape: ByteReader, size: int) -> str:
    length = _length(tape, size)
    if length > 1 << 20:
        tape.skip(length)
        return ""
    return tape.read(length).decode("utf-8", "replace")
