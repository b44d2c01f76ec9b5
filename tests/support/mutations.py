"""Variants of attacks: the same call in other opcodes, in other wrappings, behind other values, and damaged at random. All by a seed."""

from __future__ import annotations

import bz2
import gzip
import lzma
import pickle
import pickletools
import random
import zlib
from collections.abc import Callable, Iterator

from support.pickles import TENSOR, joblib_array, loaded, npy, short, tarred, zipped

HONEST: tuple[bytes, ...] = (
    *(pickle.dumps({"a": [1, 2.5, "x"], "b": (None, True)}, protocol) for protocol in range(6)),
    joblib_array("u1", 9, b"123456789"),
    npy(b"", "(0,)", "'|u1'"),
    loaded(TENSOR),
    loaded(TENSOR, 2),
    b"N.",
    b"(lp0\n.",
)
"""Files that may precede an attack: pickles with and without a header, arrays of joblib's and numpy's, tensors."""


def variants(attack: bytes, others: list[bytes], seed: str, count: int) -> Iterator[bytes]:
    """Yields `count` variants of an attack; `others` are pieced together with it."""
    for number in range(count):
        draw = random.Random(f"{seed} {number}")
        data = attack
        for _ in range(draw.choice((1, 1, 1, 2, 2, 3))):
            data = draw.choice(_WAYS)(draw, data, others)
        yield data


def _flip(draw: random.Random, data: bytes, _: list[bytes]) -> bytes:
    at = draw.randrange(len(data) + 1)
    return data[:at] + bytes([draw.randrange(256)]) + data[at + 1 :]


def _opcode(draw: random.Random, data: bytes, _: list[bytes]) -> bytes:
    at = draw.randrange(len(data) + 1)
    return data[:at] + bytes([draw.choice(pickletools.opcodes).code.encode("latin-1")[0]]) + data[at:]


def _cut(draw: random.Random, data: bytes, _: list[bytes]) -> bytes:
    at = draw.randrange(len(data) + 1)
    return data[:at] + data[at + draw.randrange(1, 12) :]


def _double(draw: random.Random, data: bytes, _: list[bytes]) -> bytes:
    at = draw.randrange(len(data) + 1)
    end = min(len(data), at + draw.randrange(1, 40))
    return data[:end] + data[at:]


def _splice(draw: random.Random, data: bytes, others: list[bytes]) -> bytes:
    other = draw.choice(others)
    return data[: draw.randrange(len(data) + 1)] + other[draw.randrange(len(other) + 1) :]


def _respell(draw: random.Random, data: bytes, _: list[bytes]) -> bytes:
    """Every opcode of a pickle, or some, in another spelling that means the same."""
    try:
        found = list(pickletools.genops(data))
    except Exception:
        return _noise(draw, data, _)
    ends = [each[2] for each in found[1:]] + [len(data)]
    out = []
    for (op, argument, start), end in zip(found, ends, strict=False):
        assert start is not None
        assert end is not None
        raw = data[start:end]
        if draw.random() < 0.5:
            raw = _spelling(draw, op.name, argument, raw)
        out.append(raw)
        if op.name not in ("PROTO", "STOP", "FRAME", "MARK") and draw.random() < 0.2:
            out.append(
                draw.choice(
                    (
                        b"q\xfa",
                        b"p250\n",
                        b"p+251\n",
                        b"p2_5_2\n",
                        b"r\xfd\0\0\0",
                        b"N0",
                        b"20",
                        b"(1",
                        b"p0" * 40 + b"7\n",
                    )
                )
            )
    return b"".join(out)


def _spelling(draw: random.Random, name: str, argument: object, raw: bytes) -> bytes:
    if (
        name in ("SHORT_BINUNICODE", "BINUNICODE", "UNICODE")
        and isinstance(argument, str)
        and argument.isascii()
        and len(argument) < 200
    ):
        return _text(draw, argument)
    if name == "GLOBAL" and isinstance(argument, str):
        module, _, attribute = argument.partition(" ")
        return _text(draw, module) + draw.choice((b"", b"\x94", b"q\xf9")) + _text(draw, attribute) + b"\x93"
    if name in ("BINPUT", "PUT", "LONG_BINPUT") and isinstance(argument, int):
        return draw.choice((b"p%d\n", b"p+%d\n", b"p00%d\n", b"p %d \n")) % argument
    if name in ("BINGET", "GET", "LONG_BINGET") and isinstance(argument, int):
        return draw.choice((b"g%d\n", b"g+%d\n", b"g0_%d\n", b"g %d\n")) % argument
    if name == "TUPLE1":
        return raw
    if name == "PROTO":
        return draw.choice((raw, b"", b"\x80\x00", b"\x80\x05", b"\x80\x02"))
    return raw


def _text(draw: random.Random, text: str) -> bytes:
    raw = text.encode()
    escaped = "".join(draw.choice((each, f"\\x{ord(each):02x}", f"\\{ord(each):03o}")) for each in text).encode()
    wide = "".join(draw.choice((each, f"\\u{ord(each):04x}")) for each in text).encode()
    return draw.choice(
        (short(text), b"X" + len(raw).to_bytes(4, "little") + raw, b"\x8d" + len(raw).to_bytes(8, "little") + raw, b"V" + wide + b"\n",
         b"S'" + escaped + b"'\n", b"U" + bytes([len(raw)]) + raw, b"T" + len(raw).to_bytes(4, "little") + raw)
    )  # fmt: skip


def _noise(draw: random.Random, data: bytes, _: list[bytes]) -> bytes:
    """Something harmless at the start: values that are dropped again, many marks, long lines, frames."""
    head = data[:2] if data[:1] == b"\x80" else b""
    noise = draw.choice(
        (b"N0", b"(1", b"]0" * 20, b"I01\n0", b"V" + b"a" * draw.choice((10, 70_000)) + b"\n0", b"\x95\x05" + bytes(7) + b"N0N0N",
         b"\x95" + draw.randrange(400).to_bytes(8, "little"), b"(" * draw.choice((3, 3000)), b"S'\\8'\n0", b"L1_0L\n0", b"I0x10\n0",
         b"cwei rd\nname\n0", b"c\xff\nx\n0", b"p7000000000000\n", b"Nr\xff\xff\x0f\x000", b"\x80\x04", b"F1.5\n0", b"G" + bytes(8) + b"0")
    )  # fmt: skip
    return head + noise + data[len(head) :]


def _behind(draw: random.Random, data: bytes, _: list[bytes]) -> bytes:
    """Behind other pickles or arrays, up to many of them, with padding or none."""
    return draw.choice(HONEST) * draw.choice((1, 1, 2, 66, 130)) + draw.choice((b"", b"", b"\0" * 7, b"\n")) + data


def _before(draw: random.Random, data: bytes, _: list[bytes]) -> bytes:
    return data + draw.choice((draw.choice(HONEST), b"junk", bytes(600), zipped({"a": b"x"})))


def _wrap(draw: random.Random, data: bytes, _: list[bytes]) -> bytes:
    wraps: tuple[Callable[[], bytes], ...] = (
        lambda: gzip.compress(data, mtime=0),
        lambda: bz2.compress(data),
        lambda: lzma.compress(data),
        lambda: lzma.compress(data, lzma.FORMAT_ALONE, filters=[{"id": lzma.FILTER_LZMA1, "dict_size": draw.choice((1 << 12, 3 << 18))}]),
        lambda: zlib.compress(data, draw.randrange(10)),
        lambda: zlib.compress(data[:9]) + zlib.compress(data[9:]),
        lambda: gzip.compress(data[:9], mtime=0) + gzip.compress(data[9:], mtime=0),
        lambda: zipped({"archive/data.pkl": data, "archive/version": b"3\n"}, draw.choice((0, 8))),
        lambda: zipped({"weights.npy": npy(data)}),
        lambda: _without_magic(tarred({"model.pkl": data})),
        lambda: tarred({"model.pkl": data, "./model.pkl": pickle.dumps({"a": 1})}),
        lambda: npy(data, descr=draw.choice(("'O'", "'object'", r"'|\x4f'", "'O8'", "[('a', 'O')]", "'|O4'", '"O"', "'<f4'"))),
        lambda: joblib_array("O8", 1, data),
        lambda: joblib_array("u1", 5, b"12345", data),
    )  # fmt: skip
    return draw.choice(wraps)()


def _without_magic(data: bytes) -> bytes:
    """A tar as in 1979: its header ends behind the link's name."""
    header = bytearray(data[:512])
    header[257:512] = bytes(255)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + data[512:]


_WAYS = (
    _flip,
    _opcode,
    _cut,
    _double,
    _splice,
    _respell,
    _respell,
    _respell,
    _noise,
    _noise,
    _behind,
    _before,
    _wrap,
    _wrap,
)
