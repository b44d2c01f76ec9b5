"""What the last word of a command line may become, and the form in which each shell reads it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from modelcrate.cli import VERBS
from support.command import Inside


def completions(inside: Inside, *words: str) -> Sequence[str]:
    found: list[str] = inside("completion", "--json", "fish", "--", *words).succeeded().json
    return found


def test_commands(inside: Inside) -> None:
    assert set(completions(inside, "")) == {*VERBS, "--version", "--help"}
    assert completions(inside, "swa") == ["swap-model"]
    assert not completions(inside, "frobnicate", "")


@pytest.mark.parametrize(
    ("words", "some"),
    [
        (["run", "--net"], ["--network"]),
        (["run", "--network", "h"], ["host"]),
        (["run", "--network=n"], ["--network=none"]),
        (["run", "-e", "A=1", "--read"], ["--read-only"]),
        (["build", "--prog"], ["--progress"]),  # common to all
        (["build", "--progress", "b"], ["bar"]),
        (["model", "reg"], ["register"]),
        (["bundle", "create", "--sp"], ["--split"]),
        (["bundle", "l"], ["load"]),
    ],
)
def test_options_and_choices(inside: Inside, words: Sequence[str], some: Sequence[str]) -> None:
    assert list(completions(inside, *words)) == list(some)


def test_images_stand_where_an_image_is_wanted(inside: Inside, alone: Path) -> None:
    assert completions(inside, "inspect", "al") == ["alone:latest"]
    assert completions(inside, "diff", "alone:latest", "") == ["alone:latest"]
    assert completions(inside, "digest", "--platform", "linux/amd64", "") == ["alone:latest"]
    assert not completions(inside, "digest", "--platform", "")  # the value of an option
    assert not completions(inside, "inspect", "alone:latest", "")  # it takes one
    assert not completions(inside, "lock", "")  # a folder, which the shell completes


def test_containers_stand_where_a_container_is_wanted(inside: Inside) -> None:
    (inside.home / "containers" / "sums").mkdir(parents=True)
    for verb in ("logs", "exec", "stop", "start", "kill", "rm"):
        assert completions(inside, verb, "") == ["sums"], verb
    assert completions(inside, "stop", "other", "su") == ["sums"]  # it takes several
    assert not completions(inside, "exec", "sums", "su")  # a program of the container


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("modelcrate inspect alo", "alone:latest"),
        ("modelcrate inspect alone:", "latest"),  # of a name with a colon, bash takes what follows it for a word
        ("modelcrate run --network=no", "none"),
        ("modelcrate inspect 'alo", "alone:latest"),
        ("modelcrate run ", "alone:latest"),
    ],
)
def test_bash_gets_what_follows_its_own_end_of_a_word(inside: Inside, alone: Path, line: str, shown: str) -> None:
    assert inside("completion", "bash", "--", line).succeeded().out == f"{shown}\n"


def test_zsh_and_fish_get_meanings(inside: Inside, alone: Path) -> None:
    assert (
        inside("completion", "zsh", "--", "inspect", "").succeeded().out == "alone\\:latest:image of the local store\n"
    )
    assert inside("completion", "fish", "--", "keyg").succeeded().out == f"keygen\t{VERBS['keygen']}\n"


def test_nothing_fits(inside: Inside) -> None:
    assert inside("completion", "bash", "--", "modelcrate frobnicate").succeeded().out == ""


def test_an_unknown_shell(inside: Inside) -> None:
    inside("completion", "tcsh").failed(2, "tcsh", "fish")
