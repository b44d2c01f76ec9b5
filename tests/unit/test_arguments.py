"""The library's arguments: what is of a wrong type is one error that names the argument."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import modelcrate
from modelcrate.arguments import as_path, as_texts
from modelcrate_layers.errors import UserError

library: Any = modelcrate


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: library.build(3), "project is 3, of the type int"),
        (lambda: library.build(b"x"), "project is b'x', of the type bytes"),
        (lambda: library.plan({}), "project is {}, of the type dict"),
        (lambda: library.lock(None), "project is None, of the type NoneType"),
        (lambda: library.init(3), "folder is 3, of the type int"),
        (lambda: library.start(3), "project is 3, of the type int"),
        (lambda: library.find(3), "address is 3, of the type int"),
        (lambda: library.run(3), "image is 3, of the type int"),
        (lambda: library.run(".", options={}), "options is {}, of the type dict"),
        (lambda: library.run(".", options=library.ContainerOptions(user=3)), "user is 3, of the type int"),
        (lambda: library.run(".", options=library.ContainerOptions(volumes=3)), "volumes is 3, of the type int"),
        (lambda: library.run(".", options=library.ContainerOptions(platform=3)), "platform is 3, of the type int"),
        (lambda: library.run(".", options=library.ContainerOptions(memory=True)), "not an amount of memory: 'True'"),
        (lambda: library.run(".", env={"A=B": 1}), "not a variable: 'A=B'"),
        (lambda: library.build(".", push=3), "push is 3, of the type int"),
        (lambda: library.build(".", outputs=[3]), "an item of outputs is 3, of the type int"),
        (lambda: library.build(".", settings="x"), "settings is 'x', of the type str"),
        (lambda: library.build(".", emit=3), "emit is 3"),
    ],
)
def test_an_argument_of_a_wrong_type_is_named(call: Callable[[], object], named: str) -> None:
    with pytest.raises(UserError) as caught:
        call()
    assert caught.value.what == named
    assert caught.value.hint.startswith("expected ")


def test_what_stands_for_paths_and_texts() -> None:
    assert as_path("a", "x") == as_path("a", Path("x")) == Path("x")
    assert as_texts("a", "x") == as_texts("a", ["x"]) == as_texts("a", iter(("x",))) == ("x",)
