"""What is public says what it does. The share of it only rises; the form of docstrings is ruff's business (pyproject.toml, D)."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from support.sources import modules

SHARE = 0.78
VERBS = {"configure", "run"}
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
