"""What a file has not stored is zeros, which are not read; and its pieces are those of a file that has stored them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelcrate_layers.content import CHUNK, Descriptor
from modelcrate_layers.store import Layout
from modelcrate_layers.tar.sources import ZEROS, read_pieces

BLOCK = 4096


def pieces(path: Path, start: int, size: int) -> list[bytes]:
    handle = os.open(path, os.O_RDONLY)
    try:
        return list(read_pieces(handle, start, size))
    finally:
        os.close(handle)


@pytest.fixture(scope="module")
def sparse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pieces of hole, some data, two and a half of hole, data, and a hole at the end."""
    path = tmp_path_factory.mktemp("sparse") / "file"
    with open(path, "wb") as file:
        file.seek(2 * CHUNK + BLOCK)
        file.write(b"one")
        file.seek(5 * CHUNK + CHUNK // 2)
        file.write(b"two" * BLOCK)
        file.truncate(8 * CHUNK + 5)
    if os.stat(path).st_blocks * 512 > CHUNK:
        pytest.skip("the file system of the tests keeps no holes")
    return path


def test_a_hole_is_not_read(sparse: Path) -> None:
    found = pieces(sparse, 0, 8 * CHUNK + 5)
    assert [piece is ZEROS for piece in found] == [True, True, False, True, True, False, True, True, False]
    assert b"".join(found) == sparse.read_bytes()


@settings(max_examples=30)
@given(st.integers(0, 9 * CHUNK), st.integers(0, 9 * CHUNK))
def test_the_pieces_are_those_of_a_file_without_holes(sparse: Path, start: int, size: int) -> None:
    dense = sparse.with_name("dense")
    if not dense.exists():
        dense.write_bytes(sparse.read_bytes())
    assert pieces(sparse, start, size) == pieces(dense, start, size)


def test_a_blob_keeps_its_holes(sparse: Path, tmp_path: Path) -> None:
    """And it is the same blob: what is behind a hole stays where it was."""
    size = os.stat(sparse).st_size
    layout = Layout.create(tmp_path / "layout")
    descriptor = Descriptor.of(sparse.read_bytes(), "application/octet-stream")
    layout.add(iter(pieces(sparse, 0, size)), descriptor)
    stored = layout.path(descriptor.digest)
    assert stored.read_bytes() == sparse.read_bytes()
    assert os.stat(stored).st_blocks * 512 < 4 * CHUNK
    assert b"".join(layout.blob(descriptor).chunks()) == sparse.read_bytes()
    assert b"".join(layout.blob(descriptor).chunks(CHUNK + 7)) == sparse.read_bytes()[CHUNK + 7 :]
