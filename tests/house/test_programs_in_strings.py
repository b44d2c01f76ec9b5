"""Programs that stand in strings of tests and in pages import only what exists: no linter and no rename reads them."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.sources import REPOSITORY

IMPORT = re.compile(r"^\s*from (modelcrate\w*(?:\.\w+)*) import (\w[\w, ]*)", re.MULTILINE)
PYTHON = [path for folder in ("tests", "bench", "tools") for path in (REPOSITORY / folder).rglob("*.py")]
PAGES = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]


def texts(path: Path) -> Iterator[str]:
    """A page, or the strings of a Python file."""
    if path.suffix == ".md":
        yield path.read_text()
    elif "import" in (source := path.read_text()):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def exists(module: str, name: str) -> bool:
    try:
        return hasattr(importlib.import_module(module), name) or bool(importlib.util.find_spec(f"{module}.{name}"))
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize(
    "folder", sorted({path.parent for path in [*PYTHON, *PAGES]}), ids=lambda each: str(each.relative_to(REPOSITORY))
)
def test_imports_in_strings_and_pages_name_what_exists(folder: Path) -> None:
    assert [
        f"{path.relative_to(REPOSITORY)}: from {module} import {name}"
        for path in [*PYTHON, *PAGES]
        if path.parent == folder
        for text in texts(path)
        for module, names in IMPORT.findall(text)
        for name in re.findall(r"(\w+)(?: as \w+)?", names)
        if not exists(module, name)
    ] == []
