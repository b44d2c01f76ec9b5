"""Limits and restart policies, as people write them."""

from __future__ import annotations

import pytest

from modelcrate.containers.limits import Limits, Restart
from modelcrate_layers.errors import UserError


@pytest.mark.parametrize(
    ("text", "size"),
    [("512m", 512 << 20), ("2g", 2 << 30), ("1.5GB", 3 << 29), ("8388608", 8 << 20), ("7000k", 7000 << 10)],
)
def test_memory(text: str, size: int) -> None:
    assert Limits.parse(text, None).memory == size
    assert Limits.parse(text, None).resources() == {"memory": {"limit": size}}


@pytest.mark.parametrize("text", ["", "0", "5m", "-1g", "1t", "9" * 5000, "1e9", "512 m", "\u0661g"])
def test_no_amount_of_memory(text: str) -> None:
    with pytest.raises(UserError, match="not an amount of memory"):
        Limits.parse(text, None)


@pytest.mark.parametrize(("text", "quota"), [("2", 200_000), (".5", 50_000), ("1.25", 125_000)])
def test_processors(text: str, quota: int) -> None:
    assert Limits.parse(None, text).resources() == {"cpu": {"period": 100_000, "quota": quota}}


@pytest.mark.parametrize("text", ["", ".", "0", "-1", "nan", "inf", "1e3", "0.001", "9" * 5000])
def test_no_number_of_processors(text: str) -> None:
    with pytest.raises(UserError, match="not a number of processors"):
        Limits.parse(None, text)


def test_no_limits() -> None:
    assert not Limits.parse(None, None)
    assert Limits().resources() == {}


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("3", Restart("on-failure", 3)),
        ("0", Restart()),
        ("no", Restart()),
        ("on-failure", Restart("on-failure")),
        ("on-failure:2", Restart("on-failure", 2)),
        ("always", Restart("always")),
    ],
)
def test_restart_policies(text: str, policy: Restart) -> None:
    assert Restart.parse(text) == policy


@pytest.mark.parametrize(
    "text", ["", "-1", "on-failure:", "on-failure:x", "always:3", "no:1", "unless-stopped", "9" * 5000]
)
def test_no_restart_policies(text: str) -> None:
    with pytest.raises(UserError, match="unknown restart policy"):
        Restart.parse(text)


def test_when_a_container_is_started_again() -> None:
    assert [Restart("on-failure", 2).again(1, before) for before in (0, 1, 2)] == [True, True, False]
    assert not Restart("on-failure").again(0, 0)
    assert Restart("on-failure").again(1, 1000)
    assert Restart("always").again(0, 1000)
    assert not Restart().again(1, 0)
