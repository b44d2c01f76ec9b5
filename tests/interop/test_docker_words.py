"""The words of the container verbs, held against docker's own help: an option that both have means the same, in its short form too."""

from __future__ import annotations

import argparse
import importlib
import re

import pytest

from support.tools import call, need

pytestmark = pytest.mark.interop

VERBS = ("run", "ps", "rm", "exec", "logs", "start", "stop", "kill", "cp")

SHARED = {
    "run": "volume env env-file user workdir entrypoint detach name rm read-only network gpus device memory cpus restart platform publish",
    "logs": "follow tail since",
    "exec": "interactive tty env env-file user workdir",
    "ps": "all quiet",
    "rm": "force",
    "start": "attach",
    "kill": "signal",
}
"""What has to be there under docker's name."""


def ours(verb: str) -> list[list[str]]:
    parser = argparse.ArgumentParser(add_help=False)
    importlib.import_module(f"modelcrate.cli.{verb}").arguments(parser)
    return [list(each.option_strings) for each in parser._actions if each.option_strings]


@pytest.mark.parametrize("verb", VERBS)
def test_an_option_is_called_as_docker_calls_it(verb: str) -> None:
    need("docker")
    shown = str(call("docker", verb, "--help"))
    theirs = {long: short for short, long in re.findall(r"^ +(?:(-\w), |    )(--[\w-]+)", shown, re.MULTILINE)}
    assert {f"--{name}" for name in SHARED.get(verb, "").split()} <= {word for words in ours(verb) for word in words}
    for words in ours(verb):
        short = {word for word in words if not word.startswith("--")}
        known = [word for word in words if word in theirs]
        assert {theirs[word] for word in known} - {""} <= short, f"{verb}: docker has a short form of {known}"
        for word in short:
            assert word in {theirs[long] for long in known}, f"{verb} {word} is {words}, and something else in docker"
