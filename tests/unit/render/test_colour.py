"""Colour: who wants it, and what of an error is coloured."""

from __future__ import annotations

import pytest

from modelcrate.render.colour import colour_error, wants_colour


@pytest.mark.parametrize(
    ("environment", "on_a_terminal", "elsewhere"),
    [
        ({}, True, False),
        ({"NO_COLOR": ""}, True, False),  # an empty value says nothing
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "0"}, True, False),
        ({"CLICOLOR_FORCE": "1"}, True, True),
        ({"CLICOLOR_FORCE": "0"}, True, False),
        ({"CLICOLOR": "0"}, False, False),
        ({"CLICOLOR": "0", "CLICOLOR_FORCE": "1"}, True, True),
        ({"TERM": "dumb"}, False, False),
        ({"TERM": "dumb", "FORCE_COLOR": "3"}, True, True),
        ({"TERM": "xterm"}, True, False),
    ],
)
def test_who_wants_it(environment: dict[str, str], on_a_terminal: bool, elsewhere: bool) -> None:
    assert (wants_colour(environment, True), wants_colour(environment, False)) == (on_a_terminal, elsewhere)


def test_faults_are_red_and_the_end_is_dim() -> None:
    shown = colour_error("a: bad\n      why\nb: bad\n2 faults (exit 2)")
    assert shown == ("\x1b[1;31ma: bad\x1b[0m\n      why\n\x1b[1;31mb: bad\x1b[0m\n\x1b[2m2 faults (exit 2)\x1b[0m")
