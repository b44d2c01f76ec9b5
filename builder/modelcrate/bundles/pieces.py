"""Pieces of a layer: the tensors of its model files, cut after each MiB. A later version of a model is sent as the pieces that changed.

Only layers that are stored as plain tars have pieces: of a compressed one, a changed tensor changes all bytes behind it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise

from modelcrate.modelfiles.tensor_places import MAX_HEAD, head_size, tensor_starts
from modelcrate_layers.frozen import NamedTuple
from modelcrate_layers.tar.reader import Member, MemberKind, read_tar

PIECE = 1 << 20
"""Bytes of a piece, at most."""

SMALLEST = 4096
"""Bytes of a file from which on it has pieces."""


class Piece(NamedTuple):
    """`size` bytes of a layer, from `offset` on, and their SHA-256 in hex."""

    offset: int
    size: int
    hash: str


class Step(NamedTuple):
    """One step in which a layer is put together: `size` bytes of the earlier layer from `old` on, or the next ones of the bundle (None)."""

    size: int
    old: int | None


def pieces_of(chunks: Iterable[bytes]) -> Iterator[Piece]:
    """Yields the pieces of a plain layer, in their order. They do not overlap; headers and padding of the tar are in none.

    Args:
        chunks: The bytes of the tar.

    Raises:
        IntegrityError: It is no tar.
    """
    for member in read_tar(chunks, held=True):
        if member.kind is MemberKind.FILE and member.size >= SMALLEST:
            yield from _pieces_of_file(member)


def _pieces_of_file(member: Member) -> Iterator[Piece]:
    head = _head(member)
    starts = sorted({0, member.size, *tensor_starts(head, member.size)})
    sizes = [min(PIECE, end - at) for start, end in pairwise(starts) for at in range(start, end, PIECE)]
    offset = member.offset
    for size, found in zip(sizes, _hashes(chain([head], member.body), sizes), strict=True):
        yield Piece(offset, size, found)
        offset += size


def _head(member: Member) -> bytes:
    """Reads as much of a file as tells where its tensors are."""
    head, wanted = b"", 16
    while len(head) < wanted:
        chunk = next(member.body, b"")
        if not chunk:
            break
        head += chunk
        wanted = min(member.size, head_size(head), MAX_HEAD)
    return head


def _hashes(chunks: Iterator[bytes], sizes: Iterable[int]) -> Iterator[str]:
    rest = memoryview(b"")
    for size in sizes:
        hashed, left = hashlib.sha256(), size
        while left:
            rest = rest or memoryview(next(chunks))
            hashed.update(rest[:left])
            left, rest = left - min(left, len(rest)), rest[left:]
        yield hashed.hexdigest()


def find_steps(new: Sequence[Piece], size: int, old: Iterable[Piece]) -> list[Step]:
    """Returns the steps that make a layer out of an earlier one and of what that lacks.

    Args:
        new: The pieces of the layer, in their order.
        size: Its bytes.
        old: The pieces of the earlier layer.
    """
    places: Mapping[tuple[int, str], int] = {(each.size, each.hash): each.offset for each in old}
    steps: list[Step] = []
    at = 0
    for piece in new:
        _add(steps, Step(piece.offset - at, None))
        _add(steps, Step(piece.size, places.get((piece.size, piece.hash))))
        at = piece.offset + piece.size
    _add(steps, Step(size - at, None))
    return steps


def _add(steps: list[Step], step: Step) -> None:
    """Appends a step, or makes the last one longer."""
    if not step.size:
        return
    if steps:
        size, old = steps[-1]
        if (old is None and step.old is None) or (old is not None and step.old == old + size):
            steps[-1] = Step(size + step.size, old)
            return
    steps.append(step)


def lacking(steps: Iterable[Step]) -> int:
    """Returns the bytes that the earlier layer lacks."""
    return sum(each.size for each in steps if each.old is None)
