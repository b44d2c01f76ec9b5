"""Where the last lines of a log begin, and where those after a moment do."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcrate.containers import logs
from modelcrate.containers.logs import LogTimes, read_log, since_offset, tail_offset


@given(st.lists(st.sampled_from([b"", b"a", b"bc", b"x" * 50]), max_size=30), st.booleans(), st.integers(0, 40))
def test_the_last_lines(lines: list[bytes], ended: bool, count: int) -> None:
    data = b"\n".join(lines) + (b"\n" if ended else b"")
    whole = data.splitlines(keepends=True)
    with TemporaryDirectory() as folder:
        (Path(folder) / "log").write_bytes(data)
        expected = sum(map(len, whole[: max(0, len(whole) - count)]))
        assert tail_offset(Path(folder), count) == expected


def test_lines_longer_than_a_block(tmp_path: Path) -> None:
    lines = [b"1" * logs._BLOCK + b"\n", b"2" * (3 * logs._BLOCK) + b"\n", b"3\n"]
    (tmp_path / "log").write_bytes(b"".join(lines))
    assert tail_offset(tmp_path, 1) == len(lines[0]) + len(lines[1])
    assert tail_offset(tmp_path, 2) == len(lines[0])
    assert tail_offset(tmp_path, 3) == 0


@pytest.mark.parametrize(
    ("moment", "rest"),
    [(5, "one\ntwo\nthree\n"), (10, "two\nthree\n"), (15, "two\nthree\n"), (20, "three\n"), (99, "")],
)
def test_since(tmp_path: Path, moment: float, rest: str) -> None:
    (tmp_path / "log").write_text("one\ntwo\nthree\n")
    (tmp_path / "log.times").write_text("10 4\n20 8\n30 14\n")
    start = since_offset(tmp_path, moment)
    assert b"".join(read_log(tmp_path, start, lambda: True)).decode() == rest


def test_a_moment_in_the_middle_of_a_line(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("one\ntwo")
    (tmp_path / "log.times").write_text("10 5\n")
    assert since_offset(tmp_path, 10) == 4


@pytest.mark.parametrize("notes", [b"", b"x", b"10\n", b"\xff\xfe 1\n", b"-1 -1\n", b"1 99999999\n", None])
def test_damaged_notes_never_fail(tmp_path: Path, notes: bytes | None) -> None:
    (tmp_path / "log").write_text("one\n")
    if notes is not None:
        (tmp_path / "log.times").write_bytes(notes)
    assert since_offset(tmp_path, 50) in (0, 4)


def test_notes_are_added_when_the_log_has_grown(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("")
    times = LogTimes(tmp_path)
    for _ in range(3):
        times.note()
    (tmp_path / "log").write_text("x")
    times.note()
    times.note()
    assert [line.split()[1] for line in (tmp_path / "log.times").read_text().splitlines()] == ["0", "1"]
