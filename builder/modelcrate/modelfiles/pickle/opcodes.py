"""The opcodes of pickle protocols 0 to 5 and how the argument of each is read (PEP 307, 3154, 574). Pure.

The table is complete: a byte that is not in it ends a pickle, for Python's own machine stops there as well. What Python accepts is
accepted here. An IntegrityError means that Python raises an error at this place, too; a LimitError, that Python reads on.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from modelcrate.modelfiles.byte_reader import ByteReader, LimitError
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.patterns import compile_later

MAX_TEXT = 200
"""Longer texts and bytes are passed over with a note of their place: a module, a name or a dtype is never that long, and a file of PyTorch's is longer."""

MAX_NAME = 4096
"""The same of a module and a name that are a line each."""

MAX_DIGITS = 4300
"""Digits of a number in text form; Python since 3.11 refuses more."""

_ESCAPE = compile_later(rb"\\(x[0-9a-fA-F]{2}|[0-7]{1,3}|.)", re.DOTALL)
_ESCAPED = {
    b"\\": b"\\",
    b"'": b"'",
    b'"': b'"',
    b"a": b"\a",
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"v": b"\v",
}

Argument = object
"""The argument of an opcode: an int, a text, a pair of texts, or one of the three below for what is passed over."""


class Opaque:
    """A value whose content doesn't matter here, or isn't known before the pickle is loaded."""

    def __repr__(self) -> str:
        return "OPAQUE"


@dataclass(frozen=True, slots=True)
class Passage:
    """Bytes, or a `text` in UTF-8, that were passed over: `size` bytes from byte `start` of the tape on."""

    start: int
    size: int
    text: bool


OPAQUE = Opaque()
"""A value that is no text."""

OPAQUE_TEXT = Opaque()
"""A value that may be a text."""


def _uint(size: int) -> Callable[[ByteReader], int]:
    return lambda tape: int.from_bytes(tape.read(size), "little")


def _int4(tape: ByteReader) -> int:
    return int.from_bytes(tape.read(4), "little", signed=True)


def _passed(size: int) -> Callable[[ByteReader], Opaque]:
    def read(tape: ByteReader) -> Opaque:
        tape.skip(size)
        return OPAQUE

    return read


def _bytes(width: int) -> Callable[[ByteReader], object]:
    """Bytes after their length. A length above what fits is caught by the end of the file."""

    def read(tape: ByteReader) -> object:
        size, start = int.from_bytes(tape.read(width), "little"), tape.position
        tape.skip(size)
        return Passage(start, size, text=False) if size > MAX_TEXT else OPAQUE

    return read


def _changing_bytes(tape: ByteReader) -> Opaque:
    """Reads BYTEARRAY8: what is made of it can be made longer by the opcodes behind it, so its place says little."""
    tape.skip(int.from_bytes(tape.read(8), "little"))
    return OPAQUE


def _text(width: int, encoding: str = "utf-8") -> Callable[[ByteReader], object]:
    def read(tape: ByteReader) -> object:
        size, start = int.from_bytes(tape.read(width), "little"), tape.position
        if size > MAX_TEXT:
            tape.skip(size)
            return Passage(start, size, text=True) if encoding == "utf-8" else OPAQUE_TEXT
        return _decoded(tape.read(size), encoding)

    return read


def _decoded(raw: bytes, encoding: str) -> object:
    try:
        return raw.decode(encoding, "surrogatepass" if encoding == "utf-8" else "strict")
    except UnicodeDecodeError:
        return OPAQUE_TEXT


def _quoted(tape: ByteReader) -> object:
    """Reads STRING: a literal in quotes with Python's escapes, which can hide a name."""
    raw = tape.line()
    if raw is None:
        return OPAQUE_TEXT
    if len(raw) < 2 or raw[:1] not in (b"'", b'"') or raw[-1:] != raw[:1]:
        raise IntegrityError("has a text without quotes")
    if re.search(rb"(?<!\\)(?:\\\\)*\\(?:x(?![0-9a-fA-F]{2})|$)", raw[1:-1]):
        raise IntegrityError("has a text with a bad escape")
    return _decoded(_ESCAPE.sub(_unescaped, raw[1:-1]), "ascii")


def _unescaped(match: re.Match[bytes]) -> bytes:
    """Returns the byte of one escape of a bytes literal; an unknown escape stays as it is."""
    escape = match[1]
    if escape[:1] == b"x":
        return bytes([int(escape[1:], 16)])
    if escape[0] in b"01234567":
        return bytes([int(escape, 8) & 0xFF])
    return _ESCAPED.get(escape, match[0])


def _raw_unicode(tape: ByteReader) -> object:
    raw = tape.line()
    if raw is None:
        return OPAQUE_TEXT
    try:
        return raw.decode("raw-unicode-escape")
    except UnicodeDecodeError:
        raise IntegrityError("has a text with a bad escape") from None


def _decimal(tape: ByteReader) -> object:
    """Reads INT and LONG. Numbers in other forms (0x10, 1_000) are passed over: no place needs them here."""
    raw = tape.line()
    if raw is None:
        return OPAQUE
    raw = raw.strip().removesuffix(b"L")
    digits = raw[1:] if raw[:1] in (b"-", b"+") else raw
    return int(raw) if digits.isdigit() and len(raw) < 20 else OPAQUE


def _long(width: int) -> Callable[[ByteReader], object]:
    def read(tape: ByteReader) -> object:
        size = int.from_bytes(tape.read(width), "little", signed=width == 4)
        if size > 16 or size < 0:
            tape.skip(size)
            return OPAQUE
        return int.from_bytes(tape.read(size), "little", signed=True)

    return read


def _line(tape: ByteReader) -> Opaque:
    tape.line()
    return OPAQUE


def _number(tape: ByteReader) -> int:
    """Reads a place in the memo, in all the forms of a number that `int` takes: `5`, `+5`, `1_0`."""
    raw = tape.line()
    if raw is None or len(raw) > MAX_DIGITS:
        raise LimitError("has a place in its memo of more digits than are followed")
    try:
        number = int(raw.partition(b"\0")[0])  # Python's machine in C reads up to a NUL
    except ValueError:
        raise IntegrityError("has a place in its memo that is no number") from None
    if number < 0:
        raise IntegrityError("has a place in its memo below zero")
    return number


def _pair(tape: ByteReader) -> object:
    """Reads GLOBAL and INST: a module and a name, a line each."""
    pair = tape.line(), tape.line()
    try:
        return tuple(OPAQUE_TEXT if raw is None or len(raw) > MAX_NAME else raw.decode("utf-8") for raw in pair)
    except UnicodeDecodeError:
        raise IntegrityError("has a name that is no UTF-8") from None


def _nothing(tape: ByteReader) -> None:
    return None


ARGUMENTS: dict[int, Callable[[ByteReader], Argument]] = {
    **dict.fromkeys(b"(.012}])lo\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94\x97\x98RNQabdestu\x81", _nothing),
    ord("S"): _quoted,
    ord("V"): _raw_unicode,
    ord("F"): _line,
    ord("I"): _decimal,
    ord("L"): _decimal,
    ord("P"): _line,
    ord("c"): _pair,
    ord("i"): _pair,
    ord("g"): _number,
    ord("p"): _number,
    ord("K"): _uint(1),
    ord("M"): _uint(2),
    ord("J"): _int4,
    ord("G"): _passed(8),
    ord("h"): _uint(1),
    ord("j"): _uint(4),
    ord("q"): _uint(1),
    ord("r"): _uint(4),
    ord("U"): _text(1, "ascii"),
    ord("T"): _text(4, "ascii"),
    ord("X"): _text(4),
    0x8C: _text(1),
    0x8D: _text(8),
    ord("C"): _bytes(1),
    ord("B"): _bytes(4),
    0x8E: _bytes(8),
    0x96: _changing_bytes,
    0x8A: _long(1),
    0x8B: _long(4),
    0x80: _uint(1),
    0x82: _uint(1),
    0x83: _uint(2),
    0x84: _uint(4),
    0x95: _uint(8),
}
"""How the argument of each opcode is read."""

NEEDY = frozenset(b"012abdeghijlopqrstuQR\x81\x85\x86\x87\x90\x91\x92\x93\x94")
"""Opcodes that take something from the stack, a mark or the memo. Python's machine reads no pickle that begins with one of them."""
