"""MessagePack, as far as it hides pickles: the state of PyTorch's models in a file of Thinc's, by which spaCy keeps them. Nothing is made of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

from modelcrate.modelfiles.byte_reader import ByteReader
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.patterns import compile_later

STATE = b"state"
"""The key whose bytes Thinc's and spaCy's loaders give to `torch.load` (thinc/shims/pytorch.py, spacy_transformers/layers/hf_shim.py)."""

MAX_DEPTH = 8
"""How deep such a value may stand in the bytes of another one."""

_TEXT = 32
"""Bytes of a text that are kept."""

_FIXED = {0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8, 0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4,
          0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17, 0xC0: 0, 0xC2: 0, 0xC3: 0}  # fmt: skip
"""The bytes behind a type: of numbers, lengths of collections, and small extensions."""

_SIZED = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4, 0xC7: 1, 0xC8: 2, 0xC9: 4}
"""The bytes of a length, by the type of what follows: bytes, texts, extensions."""

_EXTENSIONS = range(0xC7, 0xCA)
_MAP = compile_later(rb"[\x81-\x8f\xde\xdf]")


def states(file: BinaryIO, start: int, end: int, depth: int = 0) -> Iterator[tuple[int, int]]:
    """Yields where the bytes of each `state` begin and how many they are, in the values within bytes as well.

    Raises:
        IntegrityError: It is no MessagePack, or ends too early.
    """
    file.seek(start)
    tape, before = ByteReader(file), b""
    while start + tape.position < end:
        kind = tape.read(1)[0]
        if kind <= 0x9F or kind >= 0xE0:  # numbers, and the lengths of small collections
            continue
        if kind not in _SIZED and not 0xA0 <= kind <= 0xBF:
            if kind not in _FIXED:
                raise IntegrityError(f"has no MessagePack at byte {start + tape.position - 1}")
            tape.read(_FIXED[kind])
            continue
        size = int.from_bytes(tape.read(_SIZED[kind]), "big") if kind in _SIZED else kind & 0x1F
        at = start + tape.position + (kind in _EXTENSIONS)
        if at + size > end:
            raise IntegrityError(f"is cut short: {size} bytes should follow byte {at}")
        text = tape.read(min(size, _TEXT))
        if before == STATE:
            yield at, size
        elif size > _TEXT and depth < MAX_DEPTH and _MAP.match(text):
            with suppress(IntegrityError):  # bytes that only resemble it
                yield from states(file, at, at + size, depth + 1)
        before = text if size < _TEXT else b""
        file.seek(at + size)
        tape.position = at + size - start
