"""A model of the LLaMA architecture as GGUF, so small that any machine runs it: random weights and a vocabulary of bytes.

It talks nonsense, and the same nonsense every time. https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Iterator, Mapping

WIDTH, HEADS, HIDDEN = 32, 2, 64
TOKENS = ["<unk>", "<s>", "</s>", *(f"<0x{number:02X}>" for number in range(256))]
_UNKNOWN, _CONTROL, _BYTE = 2, 3, 6
_KINDS = [_UNKNOWN, _CONTROL, _CONTROL, *[_BYTE] * 256]
_U32, _I32, _F32, _TEXT, _ARRAY = 4, 5, 6, 8, 9
_ALIGNMENT = 32

NUMBERS = {
    "llama.context_length": 256,
    "llama.embedding_length": WIDTH,
    "llama.block_count": 1,
    "llama.feed_forward_length": HIDDEN,
    "llama.attention.head_count": HEADS,
    "llama.attention.head_count_kv": HEADS,
    "llama.rope.dimension_count": WIDTH // HEADS,
    "llama.vocab_size": len(TOKENS),
    "tokenizer.ggml.unknown_token_id": 0,
    "tokenizer.ggml.bos_token_id": 1,
    "tokenizer.ggml.eos_token_id": 2,
}
SHAPES: Mapping[str, tuple[int, ...]] = {
    "token_embd.weight": (WIDTH, len(TOKENS)),
    "output.weight": (WIDTH, len(TOKENS)),
    "output_norm.weight": (WIDTH,),
    "blk.0.attn_norm.weight": (WIDTH,),
    "blk.0.ffn_norm.weight": (WIDTH,),
    **{f"blk.0.attn_{name}.weight": (WIDTH, WIDTH) for name in ("q", "k", "v", "output")},
    "blk.0.ffn_gate.weight": (WIDTH, HIDDEN),
    "blk.0.ffn_up.weight": (WIDTH, HIDDEN),
    "blk.0.ffn_down.weight": (HIDDEN, WIDTH),
}


def tiny_gguf() -> bytes:
    """The bytes of the file, 115 kB."""
    chance = random.Random(1)
    infos, data = b"", b""
    for name, shape in SHAPES.items():
        size = math.prod(shape)
        values = [1.0] * size if "norm" in name else [chance.uniform(-0.2, 0.2) for _ in range(size)]
        dimensions = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        infos += _text(name) + dimensions + struct.pack("<IQ", 0, len(data))  # 0: floats of four bytes
        data += _aligned(struct.pack(f"<{size}f", *values))
    pairs = list(_pairs())
    head = b"GGUF" + struct.pack("<IQQ", 3, len(SHAPES), len(pairs))
    return _aligned(head + b"".join(pairs) + infos) + data


def _pairs() -> Iterator[bytes]:
    for name, value in (("general.architecture", "llama"), ("general.name", "tiny"), ("tokenizer.ggml.model", "llama")):
        yield _text(name) + struct.pack("<I", _TEXT) + _text(value)
    for name, number in NUMBERS.items():
        yield _text(name) + struct.pack("<II", _U32, number)
    yield _text("llama.attention.layer_norm_rms_epsilon") + struct.pack("<If", _F32, 1e-5)
    count = len(TOKENS)
    yield _array("tokenizer.ggml.tokens", _TEXT, b"".join(map(_text, TOKENS)))
    yield _array("tokenizer.ggml.scores", _F32, struct.pack(f"<{count}f", *[0.0] * count))
    yield _array("tokenizer.ggml.token_type", _I32, struct.pack(f"<{count}i", *_KINDS))


def _array(name: str, kind: int, items: bytes) -> bytes:
    return _text(name) + struct.pack("<IIQ", _ARRAY, kind, len(TOKENS)) + items


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _aligned(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % _ALIGNMENT)
