"""The variables of a container: what a project can set, what is joined, and what it can't take away."""

from __future__ import annotations

import pytest

from modelcrate.pipeline.variables import FIXED, lay_over, refused_variables

IMAGE = {"HOME": "/tmp", "PATH": "/opt/modelcrate/bin", "PYTHONPATH": "/opt/modelcrate/server", "PYTHONUNBUFFERED": "1"}
BASE = {"PATH": "/usr/bin:/bin"}


def test_the_projects_variables_win_and_the_order_stays() -> None:
    found = lay_over(IMAGE, BASE, {"HOME": "/home", "MINE": "1", "PYTHONUNBUFFERED": ""})
    assert list(found) == [*IMAGE, "MINE"], "the order is part of the config, and so of the image id"
    assert (found["HOME"], found["MINE"], found["PYTHONUNBUFFERED"]) == ("/home", "1", "")


def test_folders_to_search_are_joined_and_ours_come_first() -> None:
    found = lay_over(IMAGE, BASE, {"PATH": "/mine:/usr/bin", "PYTHONPATH": "/code::/code"})
    assert found["PATH"] == "/opt/modelcrate/bin:/mine:/usr/bin:/bin"
    assert found["PYTHONPATH"] == "/opt/modelcrate/server:/code"


def test_a_base_can_not_lead_python_elsewhere() -> None:
    base = BASE | {"PYTHONHOME": "/opt/py", "PYTHONPATH": "/opt/py/lib", "PYTHONOPTIMIZE": "1"}
    found = lay_over(IMAGE, base, {})
    assert (found["PYTHONHOME"], found["PYTHONPATH"]) == ("", "/opt/modelcrate/server")
    assert "PYTHONOPTIMIZE" not in found, "it stays in the base's own config"
    without = {name: value for name, value in IMAGE.items() if name != "PYTHONPATH"}
    assert lay_over(without, base, {})["PYTHONPATH"] == ""
    assert lay_over(without, base, {"PYTHONPATH": "/mine"})["PYTHONPATH"] == "/mine"


@pytest.mark.parametrize("name", list(FIXED))
def test_what_the_server_needs_is_refused_by_name(name: str) -> None:
    (fault,) = refused_variables({name: "x", "MINE": "1"})
    assert name in fault.what
    assert fault.why
    assert "env" in fault.hint


def test_all_that_are_refused_are_named_and_nothing_else() -> None:
    assert len(list(refused_variables(dict.fromkeys(FIXED, "x")))) == len(FIXED)
    assert (
        list(refused_variables({"HOME": "/", "PYTHONHASHSEED": "1", "PATH": "/x", "MODELCRATE_MODEL_NAME": "m"})) == []
    )


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PYTHONHASHSEED", "abc", "PYTHONHASHSEED to 'abc'"),
        ("PYTHONMALLOC", "fast", "PYTHONMALLOC to 'fast'"),
        ("PYTHONINTMAXSTRDIGITS", "100", "PYTHONINTMAXSTRDIGITS to '100'"),
        ("PYTHONUTF8", "yes", "PYTHONUTF8 to 'yes'"),
        ("PYTHONIOENCODING", "bogus", "PYTHONIOENCODING to 'bogus'"),
        ("PYTHONIOENCODING", "hex:strict", "no such encoding of text"),
        ("PYTHON_CPU_COUNT", "0", "PYTHON_CPU_COUNT to '0'"),
        ("PYTHON_GIL", "0", "PYTHON_GIL to '0'"),
        ("PYTHON_FROZEN_MODULES", "yes", "PYTHON_FROZEN_MODULES to 'yes'"),
        ("WORKER_COUNT", "two", "WORKER_COUNT"),
        ("SERVER_PORT", "99999", "SERVER_PORT"),
        ("AZUREML_LOG_LEVEL", "LOUD", "AZUREML_LOG_LEVEL"),
        ("MODELCRATE_LOG_FORMAT", "xml", "MODELCRATE_LOG_FORMAT"),
    ],
)
def test_a_value_with_which_the_server_would_not_start_is_refused(name: str, value: str, said: str) -> None:
    (fault,) = refused_variables({name: value})
    assert said in f"{fault.what} {fault.why}"
    assert fault.hint


@pytest.mark.parametrize(
    "own",
    [
        {"PYTHONHASHSEED": "random", "PYTHONMALLOC": "malloc_debug", "PYTHONUTF8": "1", "PYTHONTRACEMALLOC": "5"},
        {"PYTHONHASHSEED": "", "PYTHONINTMAXSTRDIGITS": "640"},
        {"PYTHONIOENCODING": ":surrogateescape", "PYTHON_CPU_COUNT": "default", "PYTHON_GIL": "1"},
        {"PYTHONIOENCODING": "utf-8"},
        {
            "WORKER_COUNT": "2",
            "SERVER_PORT": "8080",
            "AZUREML_LOG_LEVEL": "debug",
            "AZUREML_CONFIG_FILE": "/etc/passwd",
        },
    ],
)
def test_values_that_are_taken(own: dict[str, str]) -> None:
    assert list(refused_variables(own)) == []


def test_another_server_is_not_asked_what_ours_takes() -> None:
    assert list(refused_variables({"MODELCRATE_LOG_FORMAT": "xml"}, checked_by_server=False)) == []
