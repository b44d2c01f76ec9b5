"""The header of a safetensors file: its tensors, and whether their places are valid. No byte of a tensor is read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, BinaryIO, TypeGuard

from modelcrate.modelfiles.formats import MAX_SAFETENSORS_HEADER
from modelcrate_layers.content import parse_json
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass

MAX_TENSORS = 1_000_000

_BITS = {
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "F64": 64,
    "I64": 64,
    "U64": 64,
    "C64": 64,
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor: its type, its shape, and its place (`start` to `end`) in bytes after the header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Safetensors:
    """The header of a safetensors file: its tensors and its metadata."""

    tensors: tuple[Tensor, ...]
    metadata: Mapping[str, str]

    @property
    def parameters(self) -> int:
        """The number of elements of all tensors together."""
        return sum(math.prod(each.shape) for each in self.tensors)

    def facts(self) -> dict[str, Any]:
        """Returns the facts for a report, as JSON values."""
        return {
            "tensors": len(self.tensors),
            "parameters": self.parameters,
            "dtypes": dict(sorted(Counter(each.dtype for each in self.tensors).items())),
            "metadata": {key: value for key, value in sorted(self.metadata.items()) if len(value) <= 200},
        }


def read(file: BinaryIO, size: int) -> Safetensors:
    """Returns the header, checked.

    Every tensor has the bytes that its type and shape need. The tensors cover the file, and no two overlap.

    Raises:
        IntegrityError: The header is damaged.
    """
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or not 2 <= length <= min(MAX_SAFETENSORS_HEADER, size - 8):
        raise IntegrityError("is no safetensors file: the length of its header can't be")
    header = parse_json(file.read(length), limit=MAX_SAFETENSORS_HEADER)
    if not isinstance(header, dict) or len(header) > MAX_TENSORS:
        raise IntegrityError("has a header that is no map of tensors")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise IntegrityError("has metadata that is no map of texts")
    tensors = sorted((_tensor(name, value) for name, value in header.items()), key=lambda each: (each.start, each.end))
    at = 0
    for each in tensors:
        if each.start != at:
            raise IntegrityError(f"has tensors that overlap or leave a hole, at {each.name[:80]!r}")
        at = each.end
    if at != size - 8 - length:
        raise IntegrityError(f"has {size - 8 - length} bytes of tensors, and its header tells of {at}")
    return Safetensors(tuple(tensors), metadata)


def _tensor(name: str, value: object) -> Tensor:
    fields = value if isinstance(value, dict) else {}
    dtype, shape, places = fields.get("dtype"), fields.get("shape"), fields.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in _BITS or not _whole(shape) or not _whole(places) or len(places) != 2:
        raise IntegrityError(f"has no good type, shape or place for the tensor {name[:80]!r}")
    bits = math.prod(shape) * _BITS[dtype]
    if bits % 8 or places[1] - places[0] != bits // 8:
        raise IntegrityError(f"has {places[1] - places[0]} bytes for the tensor {name[:80]!r}, which needs {bits // 8}")
    return Tensor(name, dtype, tuple(shape), places[0], places[1])


def _whole(value: Any) -> TypeGuard[list[int]]:
    return (
        isinstance(value, list)
        and len(value) <= 64
        and all(type(each) is int and 0 <= each < 1 << 62 for each in value)
    )
