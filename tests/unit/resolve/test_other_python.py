"""What is told where the Python of an image has no wheel of a package, and another one has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelcrate.project.values import DebianBase, Project, RegistryBase
from modelcrate.resolve.other_python import locked_for, wheel_note
from modelcrate.resolve.target import NoWheelError, Target
from modelcrate_layers.errors import RegistryError

PROJECT = Project("p", None)
TARGET = Target("3.11")


class Wheels:
    """A package with wheels for these Pythons; keeps what was asked for."""

    def __init__(self, *pythons: str) -> None:
        self.pythons, self.asked = pythons, list[Target]()

    def __call__(self, target: Target) -> str:
        self.asked.append(target)
        if target.minor not in self.pythons:
            raise NoWheelError("no wheel", hint="build it")
        return target.minor


def test_the_nearest_python_with_all_wheels_is_named() -> None:
    wheels = Wheels("3.9", "3.10", "3.14")
    with pytest.raises(NoWheelError) as caught:
        locked_for(TARGET, wheels, PROJECT)
    assert 'write python: "3.10" into modelcrate.yaml\nor: build it' in caught.value.hint
    assert wheels.asked[-1] == Target("3.10", "amd64", (2, 35))
    assert (
        wheel_note(TARGET, wheels, PROJECT) == ' (there is no wheel of it for this Python: write python: "3.10", too)'
    )


def test_that_no_python_would_do_is_said_too() -> None:
    with pytest.raises(NoWheelError) as caught:
        locked_for(TARGET, Wheels("3.8"), PROJECT)
    assert caught.value.hint == "no other Python has wheels of all that is needed, either; build it"
    assert "for any Python" in wheel_note(TARGET, Wheels("3.8"), PROJECT)


@pytest.mark.parametrize("base", [RegistryBase("r.example/b:1"), DebianBase("bookworm")])
def test_no_other_python_is_proposed_where_the_base_decides_it(base: RegistryBase | DebianBase) -> None:
    wheels = Wheels("3.10")
    with pytest.raises(NoWheelError) as caught:
        locked_for(TARGET, wheels, replace(PROJECT, base=base))
    assert caught.value.hint == "build it"
    assert wheels.asked == [TARGET]
    assert "the Python of this base" in wheel_note(TARGET, wheels, replace(PROJECT, base=base))


def test_nothing_is_told_of_what_has_a_wheel_or_can_not_be_asked_for() -> None:
    def down(target: Target) -> None:
        raise RegistryError("no answer")

    assert locked_for(TARGET, Wheels("3.11"), PROJECT) == "3.11"
    assert wheel_note(TARGET, Wheels("3.11"), PROJECT) == ""
    assert wheel_note(TARGET, down, PROJECT) == ""
