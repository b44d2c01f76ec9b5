"""The entrance of the command: help, verbs, mistakes and the errors' exit codes."""

from __future__ import annotations

import pytest

from modelcrate.cli import VERBS, VERSION, _to_crate_error
from modelcrate_layers.errors import MachineError, SourceError
from support.command import Inside

INNER = {"azureml": "run", "bundle": "show", "model": "list", "contract": "check"}
"""One of the verbs of a verb that has verbs of its own."""


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_the_common_options(inside: Inside, verb: str) -> None:
    words = (verb, INNER[verb]) if verb in INNER else (verb,)
    shown = inside(*words, "--help").succeeded().out
    assert shown.startswith(f"usage: modelcrate {' '.join(words)}")
    for option in ("--offline", "--json", "--progress", "--verbose", "--debug"):
        assert option in shown


def test_without_words_the_help_goes_to_standard_error(inside: Inside) -> None:
    inside().failed(2, "usage: modelcrate", *VERBS)


def test_the_version_is_printed(inside: Inside) -> None:
    assert inside("--version").succeeded().out == f"{VERSION}\n"


def test_a_word_near_a_verb_is_corrected(inside: Inside) -> None:
    inside("biuld").failed(2, "unknown command 'biuld'; did you mean 'build'?")
    assert "did you mean" not in inside("frobnicate").failed(2, "unknown command").err


def test_an_option_that_cannot_be_read_is_an_error_of_the_user(inside: Inside) -> None:
    inside("build", "--push", "NO PLACE").failed(2, "nothing was changed (exit 2)")


def test_debug_adds_the_stack_and_keeps_the_exit_code(inside: Inside) -> None:
    plain, debugged = inside("inspect", "nothing"), inside("inspect", "nothing", "--debug")
    assert plain.code == debugged.code == SourceError.exit_code
    assert "Traceback" not in plain.err
    assert "Traceback" in debugged.err


def test_errors_of_others_get_a_class() -> None:
    known = SourceError("x")
    assert _to_crate_error(known) is known
    machine = _to_crate_error(FileNotFoundError(2, "No such file or directory", "/a/b"))
    assert isinstance(machine, MachineError)
    assert "/a/b" in str(machine)
    ours = _to_crate_error(KeyError("lost"))
    assert ours.exit_code == 1
    assert "a fault of modelcrate itself: KeyError: 'lost'" in str(ours)
    assert "--debug" in str(ours)
