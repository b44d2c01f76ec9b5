"""Pages are held to what is printed: what may vary may, and nothing else."""

from __future__ import annotations

import pytest

from support.pages import statements, typed
from support.printed import matches, without_passing_lines

LAYER = "dependencies  numpy 2.4.6  17.0 MB  new\n"


@pytest.mark.parametrize(
    "said",
    [
        LAYER,
        "dependencies numpy 2.5.0 19.1 MB new\n",  # a later version, in columns of another width
    ],
)
def test_sizes_versions_and_columns_may_vary(said: str) -> None:
    assert matches(LAYER, said)


@pytest.mark.parametrize(
    "said",
    [
        "dependencies numpy 2.4.6 17.0 MB reused\n",
        "dependencies numpy 2.4.6 34.0 MB new\n",
        "dependencies numpy 2.4.6 0 B new\n",
        "dependencies scipy 2.4.6 17.0 MB new\n",
        LAYER + LAYER,
        "",
    ],
)
def test_nothing_else_may(said: str) -> None:
    assert not matches(LAYER, said)


def test_digests_times_and_counts_are_of_their_kind() -> None:
    page = f"image sha256:{'a' * 64}  in 4.7 s, 54 requests, exit 4\n"
    assert matches(page, f"image sha256:{'b' * 64}  in 12 s, 61 requests, exit 4\n")
    assert not matches(page, f"image sha256:{'b' * 64}  in 12 s, 61 requests, exit 5\n")
    assert not matches(page, "image sha256:bb  in 12 s, 61 requests, exit 4\n")


def test_dots_stand_for_any_lines_and_for_none() -> None:
    page = "first\n[...]\nlast\n"
    assert matches(page, "first\nlast\n")
    assert matches(page, "first\n1\n2\nlast\n")
    assert not matches(page, "first\n1\n")


def test_commands_have_machines_and_go_on_behind_a_backslash() -> None:
    steps = list(typed("$ one \\\n  two\nout\n$ three\ninside$ four\n"))
    assert [(step.command, step.output, step.machine) for step in steps] == [
        ("one \\\n  two", "out\n", ""),
        ("three", "", ""),
        ("four", "", "inside"),
    ]


def test_statements_have_what_they_print() -> None:
    steps = list(statements(">>> for x in [1]:\n...     print(x)\n...\n1\n>>> y = 2\n>>> y\n2\n"))
    assert [(step.command, step.output) for step in steps] == [
        ("for x in [1]:\n    print(x)\n\n", "1\n"),
        ("y = 2\n", ""),
        ("y\n", "2\n"),
    ]


def test_lines_of_a_slow_machine_are_left_out() -> None:
    slow = "waiting until the image answers GET /, for at most 600 seconds\n  dependencies: scipy 1.17.1: 97.7 MB of 115.5 MB, 31.7 MB/s, 1 s left\n"
    assert without_passing_lines(f"{slow}{LAYER}  dependencies: scipy 1.17.1: done, 115.5 MB in 3.6 s\n") == LAYER
