"""NaCl's secretbox (XSalsa20 and Poly1305), to open the keys that cosign encrypts: three hundred bytes, so plain Python is fast enough.

After "Extending the Salsa20 nonce" (Bernstein) and the specification of NaCl's crypto_secretbox; Poly1305 is cryptography's.
"""

from __future__ import annotations

import struct

from modelcrate_layers.errors import IntegrityError

KEY, NONCE, TAG = 32, 24, 16

_SIGMA = struct.unpack("<4I", b"expand 32-byte k")
_QUARTERS = (
    *((0, 4, 8, 12), (5, 9, 13, 1), (10, 14, 2, 6), (15, 3, 7, 11)),
    *((0, 1, 2, 3), (5, 6, 7, 4), (10, 11, 8, 9), (15, 12, 13, 14)),
)


def seal(plain: bytes, key: bytes, nonce: bytes) -> bytes:
    """The tag, and the text under the key."""
    from cryptography.hazmat.primitives.poly1305 import Poly1305

    stream = _stream(key, nonce, 32 + len(plain))
    box = bytes(a ^ b for a, b in zip(plain, stream[32:], strict=True))
    return Poly1305.generate_tag(stream[:32], box) + box


def unseal(box: bytes, key: bytes, nonce: bytes) -> bytes:
    """The text; an IntegrityError where the key is wrong, or a byte has changed."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.poly1305 import Poly1305

    if len(key) != KEY or len(nonce) != NONCE or len(box) < TAG:
        raise IntegrityError("not a box: key, nonce or text have the wrong length")
    tag, hidden = box[:TAG], box[TAG:]
    stream = _stream(key, nonce, 32 + len(hidden))
    try:
        Poly1305.verify_tag(stream[:32], hidden, tag)
    except InvalidSignature:
        raise IntegrityError("the box does not open: the password is wrong, or a byte has changed") from None
    return bytes(a ^ b for a, b in zip(hidden, stream[32:], strict=True))


def _stream(key: bytes, nonce: bytes, size: int) -> bytes:
    """XSalsa20's key stream: HSalsa20 makes a key of the first 16 bytes of the nonce, Salsa20 takes the other 8."""
    inner = _rounds(_state(key, nonce[:16]))
    sub = struct.pack("<8I", *(inner[at] for at in (0, 5, 10, 15, 6, 7, 8, 9)))
    blocks = []
    for number in range(-(-size // 64)):
        state = _state(sub, nonce[16:] + struct.pack("<Q", number))
        blocks.append(struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(state, _rounds(state), strict=True))))
    return b"".join(blocks)[:size]


def _state(key: bytes, words: bytes) -> list[int]:
    k, n = struct.unpack("<8I", key), struct.unpack("<4I", words)
    return [_SIGMA[0], *k[:4], _SIGMA[1], *n, _SIGMA[2], *k[4:], _SIGMA[3]]


def _rounds(state: list[int]) -> list[int]:
    x = list(state)
    for _ in range(10):
        for a, b, c, d in _QUARTERS:
            for to, one, other, turn in ((b, a, d, 7), (c, b, a, 9), (d, c, b, 13), (a, d, c, 18)):
                total = (x[one] + x[other]) & 0xFFFFFFFF
                x[to] ^= (total << turn | total >> (32 - turn)) & 0xFFFFFFFF
    return x
