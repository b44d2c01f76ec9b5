"""The verbs of containers where no container is: they list nothing, and name what they did not find."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.command import Inside


def test_no_containers_are_listed(inside: Inside) -> None:
    assert inside("ps", "--json").succeeded().json == []
    assert inside("ps").succeeded().out.split()[0] == "NAME"


@pytest.mark.parametrize("verb", ["logs", "stop", "start", "kill", "rm"])
def test_a_container_that_is_not(inside: Inside, verb: str) -> None:
    inside(verb, "nobody").failed(2, "there is no container 'nobody'")


def test_a_program_in_a_container_that_is_not(inside: Inside) -> None:
    inside("exec", "nobody", "true").failed(2, "there is no container 'nobody'")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("-p", "many", "IMAGE"), 2, "many"),
        (("-v", "nowhere", "IMAGE"), 2, "nowhere"),
        (("--wait", "5", "IMAGE"), 2, "--detach"),
        (("--entrypoint", "", "IMAGE"), 2, "command"),
        (("nothing",), 3, "there is no image 'nothing'"),
    ],
)
def test_a_start_that_cannot_be(inside: Inside, alone: Path, words: tuple[str, ...], code: int, said: str) -> None:
    inside("run", *(word.replace("IMAGE", "alone") for word in words)).failed(code, said)
