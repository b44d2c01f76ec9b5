"""The memo: facts under their keys, damaged ones no facts, and files too young to be trusted not remembered."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from modelcrate_layers.content import Digest, canonical_json
from modelcrate_layers.errors import MachineError
from modelcrate_layers.layer_cache import LayerCache, settled
from modelcrate_layers.tar import codec
from modelcrate_layers.tar.recipe import Recipe, measure
from modelcrate_layers.tar.sources import Bytes, FileRange, Stamp
from modelcrate_layers.tar.tree import Entry, Tree, file

KEY, OTHER = Digest.of(b"key"), Digest.of(b"other")
LAYER = measure(Recipe(Tree.of([file(b"a", Bytes(b"x"))]), codec.NONE))
SECOND = 1_000_000_000


def test_what_was_put_is_got(tmp_path: Path) -> None:
    memo = LayerCache(tmp_path / "memo")
    assert memo.get(KEY) is None
    memo.put(KEY, LAYER)
    assert memo.get(KEY) == LAYER
    assert memo.get(OTHER) is None
    memo.put(KEY, LAYER)
    assert memo.get(KEY) == LAYER


def only_file(root: Path) -> Path:
    (found,) = (path for path in root.rglob("*") if path.is_file() and path.name != ".machine")
    return found


@pytest.mark.parametrize("damage", ["empty", "cut", "garbage", "changed", "list", "no layer", "right sum, no layer"])
def test_a_damaged_fact_is_no_fact(tmp_path: Path, damage: str) -> None:
    memo = LayerCache(tmp_path)
    memo.put(KEY, LAYER)
    path = only_file(tmp_path)
    data = path.read_bytes()
    checksum, fact = data.split(b"\n")
    changed = canonical_json({**json.loads(fact), "tar_size": 1})
    path.write_bytes(
        {
            "empty": b"",
            "cut": data[:-9],
            "garbage": b"\xff\0",
            "changed": checksum + b"\n" + changed,
            "list": b"[]",
            "no layer": b"{}",
            "right sum, no layer": str(Digest.of(b"7")).encode() + b"\n7",
        }[damage]
    )
    assert memo.get(KEY) is None


def test_a_memo_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(MachineError):
        LayerCache(tmp_path / "file").put(KEY, LAYER)
    assert LayerCache(tmp_path / "file").get(KEY) is None


def stamped(*times: int) -> list[Entry]:
    return [file(b"%d" % at, FileRange(str(at), Stamp(1, at, 1, when, when), 0, 1)) for at, when in enumerate(times)]


@pytest.mark.parametrize(
    ("times", "age", "trusted"),
    [
        ([5 * SECOND + 1], SECOND // 10, False),
        ([5 * SECOND + 1], SECOND // 10 + 1, True),
        ([5 * SECOND], SECOND, False),
        ([5 * SECOND], 2 * SECOND + 1, True),
        ([1, 5 * SECOND + 1], SECOND // 10, False),
        ([], 0, True),
    ],
)
def test_a_file_is_trusted_when_no_later_write_could_leave_its_stamp(times: list[int], age: int, trusted: bool) -> None:
    now = max(times, default=0) + age
    assert settled(stamped(*times), now) is trusted


def test_a_stamp_of_the_future_is_not_trusted() -> None:
    assert not settled(stamped(10 * SECOND + 1), 5 * SECOND)


def test_a_change_time_counts_as_well() -> None:
    files = [file(b"a", FileRange("a", Stamp(1, 1, 1, 1, 9 * SECOND), 0, 1))]
    assert not settled(files, 9 * SECOND)


def test_bytes_at_hand_are_always_trusted() -> None:
    assert settled([file(b"a", Bytes(b"x"))])


def test_the_clock_is_now_where_none_is_given(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    files = [file(b"f", FileRange.of_file(str(tmp_path / "f")))]
    assert not settled(files, os.stat(tmp_path / "f").st_mtime_ns)
    assert settled(stamped(1))
