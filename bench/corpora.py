"""What is packed, made from a seed: the same bytes on every machine, with no package and no network.

- `small_files`: a site-packages look-alike. Sizes are log-normal (median about 2 KB, as in real ones, scaled to the total); one file in
  forty is a compiled library (half code-like bytes, half random), the rest is text of 256 words by Zipf's law, which deflates to about a
  third; folders are up to six deep, some names are long, and there are symlinks, empty files and empty folders.
- `weights`: fp32-like numbers: three bytes of noise and a byte of sign and exponent that takes few values, which compresses by some 7 %,
  as real weights do; `noise` is wholly random, as quantised or already packed weights are.
- `app`: an entry script with a few modules.
"""

from __future__ import annotations

import random
from pathlib import Path

PIECE = 4 << 20
"""Bytes of a large file that are made at a time."""

WORDS = tuple(f"{random.Random(seed).choice('abcdefgt')}{seed * 7919 % 99991:x}" for seed in range(256))
ZIPF = tuple(WORDS[min(255, int(256 ** (rank / 65536)) - 1)] for rank in range(65536))
"""A word for every two random bytes, the frequent ones often."""


def small_files(folder: Path, count: int, total: int, seed: int = 1) -> None:
    """`count` files of about `total` bytes together, in packages of some 120 files."""
    rng = random.Random(seed)
    shares = [rng.lognormvariate(0, 1.6) for _ in range(count)]
    unit = total / sum(shares)
    here = folder
    for number, share in enumerate(shares):
        if number % 120 == 0:
            top = folder / f"package_{number // 120}"
            depth = "/".join(f"part{rng.randrange(3)}" for _ in range(rng.randrange(6)))
            here = top / depth
            here.mkdir(parents=True, exist_ok=True)
            (top / "empty").mkdir(exist_ok=True)
            (top / "latest").symlink_to(depth or "empty")
        elif number % 12 == 0:
            here = top / f"sub{rng.randrange(10)}"
            here.mkdir(exist_ok=True)
        size = 0 if number % 50 == 49 else int(share * unit)
        name = f"module_{number}" + (
            "_with_a_name_as_long_as_generated_code_likes_them" * 2 if number % 97 == 0 else ""
        )
        if number % 40 == 7:
            (here / f"{name}.so").write_bytes(_library(rng, size))
        else:
            (here / f"{name}.py").write_bytes(_text(rng, size))


def weights(folder: Path, shards: int, total: int, seed: int = 2) -> None:
    """Shards of fp32-like numbers."""
    exponents = bytes((0x3B, 0x3C, 0x3C, 0x3D)[value & 3] | value & 0x80 for value in range(256))
    for number in range(shards):
        rng = random.Random(seed * 1000 + number)
        with _shard(folder, number, shards).open("wb") as file:
            for size in _pieces(total // shards):
                piece = bytearray(rng.randbytes(size))
                piece[3::4] = rng.randbytes(len(piece[3::4])).translate(exponents)
                file.write(piece)


def noise(folder: Path, shards: int, total: int, seed: int = 3) -> None:
    """Shards that nothing compresses."""
    for number in range(shards):
        rng = random.Random(seed * 1000 + number)
        with _shard(folder, number, shards).open("wb") as file:
            for size in _pieces(total // shards):
                file.write(rng.randbytes(size))


def app(folder: Path, seed: int = 4) -> None:
    """An entry script that serves nothing much, and three modules beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "score.py").write_text("def init():\n    pass\n\n\ndef run(data):\n    return data\n")
    rng = random.Random(seed)
    for number in range(3):
        (folder / f"part{number}.py").write_text(f'"""{_text(rng, 3000).decode()}"""\n')


def _shard(folder: Path, number: int, shards: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"model-{number + 1:05}-of-{shards:05}.weights"


def _pieces(size: int) -> list[int]:
    whole, rest = divmod(size, PIECE)
    return [PIECE] * whole + [rest] * bool(rest)


def _text(rng: random.Random, size: int) -> bytes:
    numbers = memoryview(rng.randbytes(size // 5 * 2 + 2)).cast("H")
    text = " ".join(map(ZIPF.__getitem__, numbers)).encode()
    return (text * (size // max(1, len(text)) + 1))[:size]


def _library(rng: random.Random, size: int) -> bytes:
    half = size // 2
    return b"\x7fELF"[:size] + _text(rng, max(0, half - 4)) + rng.randbytes(size - max(4, half)) if size > 8 else b""
