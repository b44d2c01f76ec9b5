"""Where tensors begin in a model file, from the file's head alone: safetensors and GGUF."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO

from modelcrate.modelfiles import gguf, safetensors
from modelcrate_layers.errors import CrateError

MAX_HEAD = 64 << 20
"""Bytes of a head that are held. Heads of the largest public models have a few MiB, vocabularies included."""

_GGUF = b"GGUF"


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
