"""A stream that is held to a descriptor never ends well with other bytes; what is kept once is kept once."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelcrate_layers.content import Descriptor, verified
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.store import Layout

DATA = st.binary(min_size=1, max_size=400)


def cut(data: bytes, step: int) -> list[bytes]:
    return [data[at : at + step] for at in range(0, len(data), step)]


def refused(data: bytes, step: int, descriptor: Descriptor) -> None:
    with pytest.raises(IntegrityError):
        b"".join(verified(cut(data, step), descriptor))


@given(DATA, st.integers(1, 100))
def test_the_right_bytes_pass_in_any_chunking(data: bytes, step: int) -> None:
    assert b"".join(verified(cut(data, step), Descriptor.of(data, "x"))) == data


@given(DATA, st.integers(1, 100), st.integers(0))
def test_no_flipped_bit_passes(data: bytes, step: int, bit: int) -> None:
    bit %= len(data) * 8
    other = bytearray(data)
    other[bit // 8] ^= 1 << bit % 8
    refused(bytes(other), step, Descriptor.of(data, "x"))


@given(DATA, st.integers(1, 100), st.integers(0))
def test_no_truncation_passes(data: bytes, step: int, left: int) -> None:
    refused(data[: left % len(data)], step, Descriptor.of(data, "x"))


@given(DATA, st.integers(1, 100), st.binary(min_size=1, max_size=50))
def test_no_extension_passes(data: bytes, step: int, more: bytes) -> None:
    refused(data + more, step, Descriptor.of(data, "x"))


@given(DATA, DATA)
def test_no_other_bytes_of_the_same_length_pass(data: bytes, other: bytes) -> None:
    if data != other:
        refused(other, 7, Descriptor.of(data, "x"))


@given(st.lists(st.binary(max_size=60), max_size=6))
@settings(max_examples=25, deadline=None)
def test_adding_twice_is_adding_once(blobs: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        layout = Layout.create(Path(folder))
        described = [Descriptor.of(data, "x") for data in blobs]
        first = [layout.add([data], each) for data, each in zip(blobs, described, strict=True)]
        kept = {path.name: path.read_bytes() for path in (layout.root / "blobs" / "sha256").iterdir()}
        assert [layout.add([data], each) for data, each in zip(blobs, described, strict=True)] == [0] * len(blobs)
        assert {path.name: path.read_bytes() for path in (layout.root / "blobs" / "sha256").iterdir()} == kept
        assert sum(first) == sum(map(len, set(blobs)))
        assert [layout.read(each) for each in described] == blobs
