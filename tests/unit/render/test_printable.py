"""Foreign text on a terminal: nothing of it is obeyed, and what is readable stays as it is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcrate.render.printable import json_text, printable
from support.command import Inside
from support.small_projects import model_only


@pytest.mark.parametrize("text", ["plain", "zwei Zeilen\nund ein\tTab", "大阪 Lyon é", "a\u00a0b", ""])
def test_what_is_readable_stays(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("a\rb", "a\\rb"),
        ("\x9b31m", "\\x9b31m"),
        ("exe\u202ecod.py", "exe\\u202ecod.py"),
        ("a\u200bb", "a\\u200bb"),
        ("\udcff", "\\udcff"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters()))
def test_nothing_unprintable_is_left_and_json_means_the_same(text: str) -> None:
    assert all(line.isprintable() for line in printable(text).replace("\t", "").replace("\u00a0", "").split("\n"))
    said = json_text({"text": text})
    assert json.loads(said) == {"text": text}
    assert all(line.isprintable() for line in said.split("\n"))


def test_a_hostile_tag_reaches_no_terminal(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path))
    crate = Inside.of(folder / "home", monkeypatch, capfd)
    crate("build", model_only(folder / "p"), "-o", f"oci:{folder / 'out'}:plain").succeeded()
    index = folder / "out" / "index.json"
    index.write_bytes(index.read_bytes().replace(b'"plain"', b'"pl\\u001b[2Jain"'))
    done = crate("inspect", f"oci:{folder / 'out'}:other")
    assert done.code == 3
    assert "\x1b" not in done.err
    assert "pl\\x1b[2Jain" in done.err
