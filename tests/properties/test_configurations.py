"""Configurations of other tools with anything in any place: they are read, or refused by a message, and no key is passed over."""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from modelcrate_layers.errors import CrateError
from support.configurations import FILES, read, untold, write

JUNK: list[Any] = [
    *(
        None,
        "",
        0,
        -1,
        3.1,
        True,
        [],
        {},
        "x",
        ["a"],
        [{}],
        [{"a": 1}],
        {"a": "b"},
        [[["x"]]],
        {1: 2},
        [None],
        10**30,
        float("nan"),
    ),
    *(date(2020, 1, 1), {date(2020, 1, 1): b"x"}, b"x"),
    *("../x", "/abs", "a\nb", "\x00", "é\"'`$(x)", '"""', "x" * 5000, "https://u:p@h/x", "-x", {"path": []}),
]
YAML = {kind: yaml.safe_load(next(iter(files.values()))) for kind, files in FILES.items() if kind != "ollama"}


def places(data: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to all values of a document."""
    pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else []
    return [way for key, value in pairs for way in ((*above, key), *places(value, (*above, key)))]


def with_junk(data: Any, way: tuple[Any, ...], junk: Any) -> Any:
    """The document with another value in one place."""
    if not way:
        return junk
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[way[0]] = with_junk(data[way[0]], way[1:], junk)
    return copy


@settings(max_examples=80)
@given(st.sampled_from([(kind, way) for kind, data in YAML.items() for way in places(data)]), st.sampled_from(JUNK))
def test_anything_in_any_place(place: tuple[str, tuple[Any, ...]], junk: Any) -> None:
    kind, way = place
    with tempfile.TemporaryDirectory() as folder:
        file = write(Path(folder), kind)
        file.write_text(yaml.safe_dump(with_junk(YAML[kind], way, junk), allow_unicode=True))
        try:
            found = read(file)
        except CrateError:
            return
        assert untold(found) == []
        for name, text in found.files.items():
            if name.endswith(".py"):
                compile(text, name, "exec")
