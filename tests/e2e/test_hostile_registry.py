"""A registry that answers with what it likes: the right result, or one message that names the registry and ends with the documented code.

Never a traceback, a fault of modelcrate itself, a character that a terminal obeys, something half-made, or a wait without end. Scenarios are in
support/hostile_answers.py (documents, headers, statuses, blobs) and support/hostile_flows.py (redirects, logins, pushes, models, lists).
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from modelcrate.net import config
from modelcrate.net.config import Timeouts
from modelcrate.net.retry import SystemClock
from support import hostile_answers, hostile_flows
from support.bases import small
from support.command import Inside, half_made
from support.hostile_answers import RIGHT, Scenario, hold
from support.images_by_hand import write_layout
from support.scripted import scripted

SCENARIOS = [*hostile_answers.scenarios(), *hostile_flows.scenarios()]
QUICK = Timeouts(connect=0.5, answer=0.5, finish=0.5, headers=0.5, document=2.0)
LONGEST = 30.0
"""Seconds that a scenario may take on a busy machine: six attempts of half a second each, for a few requests."""


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of half a second, and waits between attempts that take no time."""
    monkeypatch.setattr(SystemClock, "sleep", lambda clock, seconds: None)
    real = config.HttpConfig
    monkeypatch.setattr(config, "HttpConfig", lambda *args, **more: replace(real(*args, **more), timeouts=QUICK))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_a_hostile_registry_gets_a_plain_word(scenario: Scenario, inside: Inside, tmp_path: Path) -> None:
    write_layout(tmp_path / "good", [small()], {})
    with scripted() as script:
        hold(script)
        scenario.plan(script)
        began = time.monotonic()
        words = [word.format(host=script.host, out=tmp_path / "out", good=tmp_path / "good") for word in scenario.words]
        done = inside(*words)
        took = time.monotonic() - began
        told = f"{' '.join(words)}\nexit {done.code} after {took:.1f} s\n{done.err[-1000:]}"
        assert done.code in scenario.codes, told
        assert "Traceback" not in done.err, told
        assert took < LONGEST, told
        assert len(done.err) < 2000, told
        assert all(each.isprintable() or each in "\n\t" for each in done.err + done.out), told
        assert half_made(inside.home, tmp_path / "out") == [], told
        held = script.manifests.get(("team/new", "1"), ("", RIGHT.data))[1]
        assert held == RIGHT.data, "what is pushed is the image, whole, or nothing"
        if done.code:
            assert script.host.partition(":")[0] in done.err, f"no registry is named: {told}"


def test_there_are_many() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS) > 280
