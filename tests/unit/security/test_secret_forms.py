"""Secrets of every kind, drawn by tools/measure_secrets.py, in every way in which they stand in files; and what only looks like one."""

from __future__ import annotations

import random

import pytest

from support.sources import tool

DRAWN = tool("measure_secrets")
INDENTED = "in base64, in YAML"
"""Where the end of a line cuts a secret in its first characters it is not found (docs/security.md)."""


@pytest.mark.parametrize("kind", DRAWN.KINDS)
def test_a_secret_of_each_kind_is_found_wherever_it_stands(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DRAWN, "draw", random.Random(kind))
    places = {place: put for place, put in DRAWN.PLACES.items() if place != INDENTED}
    assert [place for place, put in places.items() if not DRAWN.found(put(DRAWN.KINDS[kind]()))] == []


@pytest.mark.parametrize("kind", DRAWN.LOOKALIKES)
def test_what_only_looks_like_a_secret_is_none(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DRAWN, "draw", random.Random(kind))
    assert not any(DRAWN.found(DRAWN.LOOKALIKES[kind]()) for _ in range(30))
