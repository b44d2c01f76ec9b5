"""What a user may ask, and what comes of it with the image's config."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from modelcrate.containers.options import DEFAULT_PATH, Port, RunOptions, process_of
from modelcrate_layers.errors import IntegrityError, UserError

HERE = Path("state")


def merged(settings: dict[str, Any], **options: Any) -> Any:
    return process_of({"config": settings}, RunOptions("n", HERE, **options))


@pytest.mark.parametrize(
    ("text", "port"), [("8080:5001", Port(8080, 5001)), ("5001", Port(5001, 5001)), ("0:1", Port(0, 1))]
)
def test_ports(text: str, port: Port) -> None:
    assert Port.parse(text) == port


@pytest.mark.parametrize(
    "text", ["", ":", "a:1", "1:0", "1:65536", "70000:1", "1:2:3", "-1:2", "1:", "٣:1", "127.0.0.1:1:2"]
)
def test_not_ports(text: str) -> None:
    with pytest.raises(UserError, match="not a port mapping"):
        Port.parse(text)


@pytest.mark.parametrize("name", ["", "..", ".x", "a/b", "a b", "x" * 64, "-x", "a\n"])
def test_not_names(name: str) -> None:
    with pytest.raises(UserError, match="not a container name"):
        RunOptions(name, HERE)


def test_other_wrong_wishes() -> None:
    for wrong in ({"engine": "docker"}, {"network": "bridge"}, {"ports": (Port(80, 1), Port(80, 2))}):
        with pytest.raises(UserError):
            RunOptions("n", HERE, **wrong)  # type: ignore[arg-type]
    RunOptions("n", HERE, ports=(Port(0, 1), Port(0, 2)))


def test_config_and_options_merged() -> None:
    config = {"Entrypoint": ["serve"], "Cmd": ["--fast"], "Env": ["A=1", "B=x=y", "C"], "User": "7", "WorkingDir": "/w"}
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


@pytest.mark.parametrize(
    "settings",
    [
        {"Cmd": "sh"},
        {"Cmd": [1]},
        {"Cmd": ["x"], "Env": {"A": "1"}},
        {"Cmd": ["x"], "User": 7},
        {"Cmd": ["x"], "StopSignal": "SIGNONE"},
        {"Cmd": ["x"], "StopSignal": "0"},
    ],
)
def test_configs_that_are_none(settings: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError):
        merged(settings)


def test_a_config_that_is_no_object() -> None:
    with pytest.raises(IntegrityError):
        process_of({"config": "x"}, RunOptions("n", HERE))


def test_nothing_to_run_and_nuls() -> None:
    with pytest.raises(UserError, match="neither an entry point nor a command"):
        process_of({}, RunOptions("n", HERE))
    with pytest.raises(UserError, match="NUL"):
        merged({"Cmd": ["a\0b"]})
