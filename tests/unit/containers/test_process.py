"""The program of a container: an image's config, which is hostile, and a user's options together."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcrate.containers.options import RunOptions
from modelcrate.containers.process import DEFAULT_PATH, process_of
from modelcrate_layers.errors import CrateError, IntegrityError, UserError

HERE = Path("state")


def merged(settings: dict[str, Any], **options: Any) -> Any:
    return process_of({"config": settings}, RunOptions("n", HERE, **options))


def test_config_and_options_merged() -> None:
    config = {
        "Entrypoint": ["serve"],
        "Cmd": ["--fast"],
        "Env": ["A=1", "B=x=y", "C="],
        "User": "7",
        "WorkingDir": "/w",
    }
    got = merged(config, env={"A": "2"})
    assert got.args == ("serve", "--fast")
    assert got.env == (f"PATH={DEFAULT_PATH}", "A=2", "B=x=y", "C=")
    assert (got.user, got.cwd, got.stop_signal) == ("7", "/w", signal.SIGTERM)
    assert merged(config, command=("--slow",)).args == ("serve", "--slow")
    assert merged(config, entrypoint=("sh",)).args == ("sh",)
    assert merged(config, entrypoint=(), command=("sh",), user="0").args == ("sh",)


@pytest.mark.parametrize(("text", "number"), [("SIGINT", 2), ("int", 2), ("9", 9), ("", 15)])
def test_stop_signals(text: str, number: int) -> None:
    assert merged({"Cmd": ["x"], "StopSignal": text}).stop_signal == number


def test_real_time_stop_signals() -> None:
    assert merged({"Cmd": ["x"], "StopSignal": "SIGRTMIN+3"}).stop_signal == signal.SIGRTMIN + 3
    assert merged({"Cmd": ["x"], "StopSignal": "RTMAX"}).stop_signal == signal.SIGRTMAX


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"Cmd": "sh"}, "Cmd"),
        ({"Cmd": [1]}, "Cmd"),
        ({"Cmd": ["a\0b"]}, "Cmd"),
        ({"Cmd": ["\ud800"]}, "Cmd"),
        ({"Cmd": ["x" * (1 << 17)]}, "Cmd"),
        ({"Entrypoint": [["sh"]]}, "Entrypoint"),
        ({"Cmd": ["x"], "Env": {"A": "1"}}, "Env"),
        ({"Cmd": ["x"], "Env": ["A"]}, "Env"),
        ({"Cmd": ["x"], "Env": ["=x"]}, "Env"),
        ({"Cmd": ["x"], "Env": [""]}, "Env"),
        ({"Cmd": ["x"], "Env": ["A=\0"]}, "Env"),
        ({"Cmd": ["x"], "User": 7}, "User"),
        ({"Cmd": ["x"], "User": "a\0"}, "User"),
        ({"Cmd": ["x"], "WorkingDir": "srv"}, "WorkingDir"),
        ({"Cmd": ["x"], "WorkingDir": ["/"]}, "WorkingDir"),
        ({"Cmd": ["x"], "WorkingDir": "/\0"}, "WorkingDir"),
        ({"Cmd": ["x"], "StopSignal": "SIGNONE"}, "StopSignal"),
        ({"Cmd": ["x"], "StopSignal": "0"}, "StopSignal"),
        ({"Cmd": ["x"], "StopSignal": "65"}, "StopSignal"),
        ({"Cmd": ["x"], "StopSignal": "9" * 5000}, "StopSignal"),
        ({"Cmd": ["x"], "StopSignal": "SIGRTMIN+99"}, "StopSignal"),
        ({"Cmd": ["x"], "StopSignal": "٣"}, "StopSignal"),
    ],
)
def test_a_wrong_config_is_refused_by_the_name_of_its_field(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(IntegrityError, match=f"the image's config.*{field}"):
        merged(settings)


def test_a_config_that_is_no_object() -> None:
    with pytest.raises(IntegrityError):
        process_of({"config": "x"}, RunOptions("n", HERE))


def test_nothing_to_run_and_nuls() -> None:
    with pytest.raises(UserError, match="neither an entry point nor a command"):
        process_of({}, RunOptions("n", HERE))
    with pytest.raises(UserError, match="empty name"):
        merged({"Cmd": [""]})


@pytest.mark.parametrize(
    "options",
    [
        {"command": ("a\0b",)},
        {"env": {"A": "\0"}},
        {"workdir": "srv"},
        {"workdir": "/\0"},
        {"command": ("x",) * 600_000},
    ],
)
def test_wrong_options_are_the_users_fault(options: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        merged({"Cmd": ["x"]}, **options)


def test_a_working_folder_of_the_user_wins_over_a_wrong_one() -> None:
    assert merged({"Cmd": ["x"], "WorkingDir": "srv"}, workdir="/srv").cwd == "/srv"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("Entrypoint", "Cmd", "Env", "User", "WorkingDir", "StopSignal")
LIKELY = st.lists(st.text(st.characters(), max_size=20), max_size=3) | st.text(st.characters(), max_size=20) | JSON


@given(st.dictionaries(st.sampled_from(FIELDS), LIKELY))
def test_any_config_gives_a_program_or_a_named_refusal(settings: dict[str, Any]) -> None:
    try:
        made = merged(settings)
    except CrateError:
        return
    assert made.args[0]
    assert made.cwd.startswith("/")
    assert all(entry.index("=") > 0 for entry in made.env)
    for text in (*made.args, *made.env, made.cwd, made.user):
        assert b"\0" not in text.encode()
    assert 1 <= made.stop_signal <= signal.SIGRTMAX
