"""Where tensors lie in a model file, and what they are, from the file's head alone: safetensors and GGUF."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import BytesIO

from modelcrate.modelfiles import gguf, safetensors
from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import dataclass

MAX_HEAD = 64 << 20
"""Bytes of a head that are held. Heads of the largest public models have a few MiB, vocabularies included."""

_GGUF = b"GGUF"


@dataclass(frozen=True, slots=True)
class TensorPlace:
    """A tensor of a file: its type and shape in words, such as `F32 [3, 4]`, and the bytes that it takes."""

    name: str
    what: str
    size: int


def head_size(head: bytes) -> int:
    """Returns how many bytes of a file tell where its tensors are, as far as its first 16 bytes show: 0 for a file of another kind."""
    if head.startswith(_GGUF):
        return MAX_HEAD  # its length stands nowhere
    length = int.from_bytes(head[:8], "little")
    return 8 + length if head[8:9] == b"{" else 0


def tensor_starts(head: bytes, size: int) -> Iterable[int]:
    """Returns the offsets in bytes at which the tensors of a file begin; none for a file of another kind, or a damaged one.

    Args:
        head: The first `head_size` bytes of the file, or all of a shorter one.
        size: The size of the file in bytes.
    """
    try:
        if head.startswith(_GGUF):
            return [each for each in gguf.read(BytesIO(head), size).starts if each < size]
        if head_size(head):
            length = int.from_bytes(head[:8], "little")
            return [8 + length + each.start for each in safetensors.read(BytesIO(head), size).tensors]
    except CrateError:
        pass  # its bytes are sent all the same
    return ()


def list_tensors(head: bytes, size: int) -> tuple[TensorPlace, ...]:
    """Returns the tensors of a file in the order of their bytes; none for a file of another kind, or a damaged one.

    A tensor of a GGUF file ends where the next begins, for the bytes of its newest types are not known here.

    Args:
        head: The first `head_size` bytes of the file, or all of a shorter one.
        size: The size of the file in bytes.
    """
    try:
        if head.startswith(_GGUF):
            return tuple(_of_gguf(gguf.read(BytesIO(head), size), size))
        if head_size(head):
            found = safetensors.read(BytesIO(head), size).tensors
            return tuple(
                TensorPlace(each.name, f"{each.dtype} {list(each.shape)}", each.end - each.start) for each in found
            )
    except CrateError:
        pass  # it is shown as a file without tensors
    return ()


def _of_gguf(found: gguf.Gguf, size: int) -> Iterator[TensorPlace]:
    placed = sorted(zip(found.starts, found.tensors, strict=True))
    ends = [start for start, _ in placed[1:]] + [size]
    for (start, (name, shape, kind)), end in zip(placed, ends, strict=True):
        yield TensorPlace(name, f"{gguf.type_name(kind)} {list(shape)}", max(0, min(end, size) - start))
