"""Answers packed as their client accepts it."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import pytest

from modelcrate_server.packing import LEAST
from support.wsgi import RAW, app_of, returning

LARGE = returning("'x' * 5000")


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("gzip, deflate", "gzip"),
        ("deflate", "deflate"),
        ("gzip;q=0.1, deflate;q=0.9", "deflate"),
        ("*", None),
        ("br", None),
        ("gzip;q=0", None),
        ("gzip;q=nonsense", None),
        ("identity", None),
        ("", None),
    ],
)
def test_the_client_chooses(tmp_path: Path, accepted: str, coding: str | None) -> None:
    answer = app_of(tmp_path, LARGE)("POST", "/score", b"", Accept_Encoding=accepted)
    if accepted == "*":  # any that there is, so zstd where there is a library for it
        assert answer.header("Content-Encoding") in ("zstd", "gzip")
        return
    assert answer.header("Content-Encoding") == coding
    assert answer.header("Vary") == ("Accept-Encoding" if accepted else None)
    unpack = {"gzip": gzip.decompress, "deflate": zlib.decompress, None: bytes}[coding]
    assert unpack(answer.body) == b'"' + b"x" * 5000 + b'"'
    assert int(answer.header("Content-Length") or 0) == len(answer.body)


def test_small_answers_streams_and_what_a_raw_script_answers_stay_as_they_are(tmp_path: Path) -> None:
    for source in (returning(f"'x' * {LEAST // 2}"), returning("(part for part in ['x' * 5000])"), RAW):
        answer = app_of(tmp_path, source)("POST", "/score", b"y" * 5000, Accept_Encoding="gzip")
        assert answer.header("Content-Encoding") is None
