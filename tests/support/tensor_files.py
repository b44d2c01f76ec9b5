"""Model files with tensors of drawn bytes, in safetensors' form."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping

SIZE = 50_000
"""Bytes of a tensor."""


def safetensors(tensors: Mapping[str, bytes], note: str = "") -> bytes:
    """A file with these tensors of bytes, in their order."""
    header: dict[str, object] = {"__metadata__": {"note": note}}
    at = 0
    for name, data in tensors.items():
        header[name] = {"dtype": "U8", "shape": [len(data)], "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + b"".join(tensors.values())


def drawn_tensors(seed: int, count: int = 40, size: int = SIZE) -> dict[str, bytes]:
    draw = random.Random(seed)
    return {f"t{number}": draw.randbytes(size) for number in range(count)}
