"""What is public says what it does. The share of it only rises; the form of docstrings is ruff's business (pyproject.toml, D)."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import modelcrate
from support.sources import modules

SHARE = 1.0
VERBS = {"arguments", "run"}
"""The functions of each command's file; the file's own docstring says what the command does."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def definitions(name: str, body: list[ast.stmt]) -> Iterator[tuple[str, str | None]]:
    """The public functions, classes and methods of a module with their docstrings."""
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield f"{name}.{node.name}", ast.get_docstring(node)
            if isinstance(node, ast.ClassDef):
                yield from definitions(f"{name}.{node.name}", node.body)


def test_what_is_public_has_docstrings() -> None:
    found = [
        (name, text)
        for module in modules().values()
        if "._" not in module.name
        for name, text in definitions(module.name, module.tree.body)
        if not (name.startswith("modelcrate.cli.") and name.rpartition(".")[2] in VERBS)
    ]
    lacking = [name for name, text in found if not text]
    share = 1 - len(lacking) / len(found)
    assert share >= SHARE, f"{share:.1%} have docstrings; among those without: {', '.join(lacking[:10])}"


def exported() -> dict[str, Callable[..., Any]]:
    """The functions that the library exports, and the public methods of the classes that it exports."""
    found: dict[str, Callable[..., Any]] = {}
    for name in modelcrate.__all__:
        value = getattr(modelcrate, name)
        if inspect.isclass(value):
            found |= {
                f"{name}.{each}": getattr(value, each)
                for each, method in vars(value).items()
                if not each.startswith("_") and callable(method)
            }
        elif callable(value):
            found[name] = value
    return found


@pytest.mark.parametrize("name", exported())
def test_exported_names_say_what_they_take_return_and_raise(name: str) -> None:
    """Functions of the library raise at least CrateError; a method says so where it does."""
    function = exported()[name]
    signature, text = inspect.signature(function), inspect.getdoc(function) or ""
    parameters = [each for each in signature.parameters if each not in ("self", "cls")]
    if not parameters:
        assert text
        return
    sections = dict(re.findall(r"^(Args|Returns|Yields|Raises):\n((?:    .*\n?|\n)+)", text, re.M))
    lacking = [
        each for each in parameters if not re.search(rf"^    \*{{0,2}}{each}\b.*:", sections.get("Args", ""), re.M)
    ]
    assert not lacking, f"Args lacks {', '.join(lacking)}"
    assert signature.return_annotation in ("None", None) or {"Returns", "Yields"} & sections.keys(), "no Returns"
    assert "." in name or "Raises" in sections, "no Raises"
