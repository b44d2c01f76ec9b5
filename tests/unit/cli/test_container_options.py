"""Variables and times of the container verbs, read as docker reads its own."""

from __future__ import annotations

import argparse
import time
from datetime import datetime
from pathlib import Path

import pytest

from modelcrate.cli.container_options import MAX_ENV_FILE, moment, process_arguments, variables
from modelcrate_layers.errors import SourceError, UserError


def read(*words: str, **environment: str) -> dict[str, str]:
    parser = argparse.ArgumentParser()
    process_arguments(parser)
    return variables(parser.parse_args(words), environment)


def test_an_option_goes_over_a_file_and_a_bare_name_is_looked_up(tmp_path: Path) -> None:
    file = tmp_path / "variables"
    file.write_text(
        "\ufeff# a comment\n\n  A=1\r\nB=2=3\nC=a\u2028b\x0bc\nFROM_HERE\nNOWHERE\n", encoding="utf-8", newline=""
    )
    found = read("--env-file", str(file), "-e", "A=other", "-e", "EMPTY=", FROM_HERE="here")
    assert found == {"A": "other", "B": "2=3", "C": "a\u2028b\x0bc", "FROM_HERE": "here", "EMPTY": ""}


def test_files_of_variables_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "large").write_bytes(b"#" * (MAX_ENV_FILE + 1))
    (tmp_path / "wrong").write_text("=1\n")
    for name, said in (("binary", "UTF-8"), ("large", "more than"), ("none", "No such file"), ("wrong", "wrong")):
        with pytest.raises((UserError, SourceError)) as caught:
            read("--env-file", str(tmp_path / name))
        assert said in str(caught.value)
        assert str(tmp_path / name) in str(caught.value)


def test_a_moment_is_a_number_a_date_or_how_long_ago() -> None:
    assert moment("1700000000.5") == 1700000000.5
    assert moment("2026-11-29T10:00:00+00:00") == datetime.fromisoformat("2026-11-29T10:00:00+00:00").timestamp()
    before = time.time()
    assert before - 5400 <= moment("1h30m") <= time.time() - 5400
    assert moment("1.5m") < before - 89


@pytest.mark.parametrize("text", ["", "soon", "-5m", "1h30", "2026-13-01", "9" * 12, "0001-01-01T00:00:00"])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(UserError, match="not a time"):
        moment(text)
