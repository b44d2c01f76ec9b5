"""The facts that a model file in a layer states, read while its bytes pass once: tensors with types, shapes and digests.

safetensors files are described tensor by tensor, with a digest of each one's bytes; GGUF files tensor by tensor, by their header;
ONNX files and pickles by the findings of their readers (`modelcrate.modelfiles`). Nothing is loaded. A file that can't be read has
no summary.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO, cast

from modelcrate.modelfiles import gguf, onnx, safetensors
from modelcrate.modelfiles.formats import HEAD_BYTES, Sample, format_of
from modelcrate.modelfiles.recognition import facts_of
from modelcrate_layers.content import canonical_json
from modelcrate_layers.errors import CrateError

MAX_HELD = 32 << 20
"""Bytes of a model file without a header, or of a safetensors header, that are read into memory; a larger one is described by its digest alone."""

Summary = Mapping[str, str]
"""The facts by name: `tensor layer.0.weight` is `F32 [3, 4] sha256 ab12...`."""


def summarise(name: str, size: int, chunks: Iterable[bytes]) -> Summary:
    """Returns the summary of a model file.

    It reads only as many of the chunks as it needs, from the first one on. A caller that needs all chunks reads the rest.
    """
    passing = _Passing(chunks)
    known = format_of(Sample(name, passing.peek(HEAD_BYTES), size))
    try:
        match known.word if known else "":
            case "":
                return {}
            case "safetensors":
                return _safetensors(passing, size)
            case "gguf":
                return _gguf(gguf.read(cast(BinaryIO, passing), size))
            case "onnx":
                return _as_texts(onnx.read(cast(BinaryIO, passing), size).facts())
            case _ if size <= MAX_HELD:
                return _as_texts(facts_of(io.BytesIO(passing.read(size)), name, size).facts)
    except (CrateError, OverflowError):
        return {}
    return {}


class _Passing:
    """Bytes that pass, as a file that is read from front to back. It is not a value, because it has a position."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks, self._held, self._at = iter(chunks), memoryview(b""), 0

    def peek(self, size: int) -> bytes:
        """Returns the next bytes, and leaves them in place: `size` of them, or fewer at the end."""
        while len(self._held) < size and (chunk := next(self._chunks, b"")):
            self._held = memoryview(bytes(self._held) + chunk)
        return bytes(self._held[:size])

    def seek(self, position: int) -> int:
        if position != self._at:
            raise io.UnsupportedOperation("what has passed is gone")
        return position

    def read(self, size: int) -> bytes:
        return b"".join(self.pieces(size))

    def pieces(self, size: int) -> Iterator[memoryview]:
        """Yields the next `size` bytes, or fewer at the end."""
        while size:
            if not self._held:
                self._held = memoryview(next(self._chunks, b""))
                if not self._held:
                    return
            piece, self._held = self._held[:size], self._held[size:]
            size, self._at = size - len(piece), self._at + len(piece)
            yield piece


def _safetensors(passing: _Passing, size: int) -> Summary:
    head = passing.read(8)
    length = int.from_bytes(head, "little")
    if length > MAX_HELD:
        return {}
    found = safetensors.read(io.BytesIO(head + passing.read(length)), size)
    summary = {f"metadata {key}": value for key, value in found.metadata.items()}
    for tensor in found.tensors:  # in the order of their bytes, without holes: `read` has checked that
        hashed = hashlib.sha256()
        for piece in passing.pieces(tensor.end - tensor.start):
            hashed.update(piece)
        summary[f"tensor {tensor.name}"] = f"{tensor.dtype} {list(tensor.shape)} sha256 {hashed.hexdigest()[:12]}..."
    return summary


def _gguf(found: gguf.Gguf) -> Summary:
    summary = {f"metadata {key}": str(value) for key, value in found.metadata.items()}
    return summary | {f"tensor {name}": f"{gguf.type_name(kind)} {list(shape)}" for name, shape, kind in found.tensors}


def _as_texts(found: Mapping[str, Any]) -> Summary:
    return {name: value if isinstance(value, str) else canonical_json(value).decode() for name, value in found.items()}
