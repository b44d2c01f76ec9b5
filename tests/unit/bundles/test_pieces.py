from __future__ import annotations

import hashlib
import math
import random
from itertools import pairwise

import pytest

from modelcrate.bundles.pieces import PIECE, Piece, Step, find_steps, lacking, pieces_of
from modelcrate.modelfiles.tensor_places import tensor_starts
from modelcrate_layers.tar import writer
from modelcrate_layers.tar.sources import Bytes
from modelcrate_layers.tar.tree import file
from support.tensor_files import drawn_tensors, safetensors
from support.tiny_gguf import SHAPES, tiny_gguf


def layer(**files: bytes) -> bytes:
    return b"".join(writer.stream([file(name.encode(), Bytes(data), 0o644) for name, data in files.items()]))


def made(steps: list[Step], old: bytes, new: bytes) -> bytes:
    """The layer as the steps make it, out of the old one and of what it lacks."""
    out, at = b"", 0
    for size, place in steps:
        out += new[at : at + size] if place is None else old[place : place + size]
        at += size
    return out


def steps_between(old: bytes, new: bytes) -> list[Step]:
    return find_steps(list(pieces_of([new])), len(new), pieces_of([old]))


def test_pieces_are_the_bytes_that_they_name_and_do_not_overlap() -> None:
    data = layer(a=safetensors(drawn_tensors(1)), b=b"x" * 100, c=random.Random(2).randbytes(3 * PIECE + 17))
    at, pieces = 0, list(pieces_of([data[n : n + 70_001] for n in range(0, len(data), 70_001)]))
    for piece in pieces:
        assert piece.offset >= at
        assert 0 < piece.size <= PIECE
        assert hashlib.sha256(data[piece.offset : piece.offset + piece.size]).hexdigest() == piece.hash
        at = piece.offset + piece.size
    assert len(pieces) == 41 + 4, "a header and 40 tensors; three MiB and the rest; nothing of a small file"


def test_a_changed_tensor_is_all_that_is_lacking() -> None:
    before = drawn_tensors(1)
    after = {**before, "t7": random.Random(9).randbytes(50_000)}
    old, new = layer(model=safetensors(before)), layer(model=safetensors(after))
    steps = steps_between(old, new)
    assert made(steps, old, new) == new
    assert 50_000 <= lacking(steps) <= 50_000 + 6_000, "the tensor, and the headers of the tar and of the file"


def test_tensors_that_moved_are_found_again() -> None:
    before = drawn_tensors(1)
    after = {"new": b"n" * 7_777, **before}
    old, new = layer(model=safetensors(before)), layer(model=safetensors(after, note="longer than before"))
    steps = steps_between(old, new)
    assert made(steps, old, new) == new
    assert lacking(steps) < 7_777 + 6_000


def test_an_unrelated_model_is_lacking_whole() -> None:
    old, new = layer(model=safetensors(drawn_tensors(1))), layer(model=safetensors(drawn_tensors(2)))
    assert lacking(steps_between(old, new)) >= len(new) - 6_000, "all but the file's header"


@pytest.mark.parametrize("at", [0, 1, 7, 8, 9, 100, 5_000])
def test_a_damaged_head_leaves_pieces_that_fit(at: int) -> None:
    model = bytearray(safetensors(drawn_tensors(1)))
    model[at] ^= 0xFF
    data = layer(model=bytes(model))
    assert sum(each.size for each in pieces_of([data])) == len(model)


def test_the_tensors_of_gguf_begin_where_its_header_says() -> None:
    data = tiny_gguf()
    starts = sorted(tensor_starts(data, len(data)))
    sizes = [end - start for start, end in pairwise([*starts, len(data)])]
    assert sizes == [-(-4 * math.prod(shape) // 32) * 32 for shape in SHAPES.values()], "32-bit numbers, aligned"


def test_steps_are_merged() -> None:
    old = [Piece(512, 10, "a"), Piece(522, 10, "b"), Piece(600, 10, "c")]
    new = [Piece(100, 10, "a"), Piece(110, 10, "b"), Piece(120, 10, "x"), Piece(130, 10, "c")]
    assert find_steps(new, 150, old) == [Step(100, None), Step(20, 512), Step(10, None), Step(10, 600), Step(10, None)]
