"""Our own modules as syntax trees: who imports whom, and when; and the programs in tools/."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType

REPOSITORY = Path(__file__).resolve().parents[2]
ROOTS = ("builder", "layers")
SERVER = "modelcrate_server"
"""The package that is put into images. It runs there alone, on Python 3.9 too, and has laws of its own."""
IN_IMAGES = (SERVER, "modelcrate.modelfiles.scripts")
"""What is put into images, with the entry scripts that we offer: text to us, code to others."""


@dataclass(frozen=True)
class Import:
    """One name of an import statement. `typing` says that it happens for type checkers only, `local` that it is in a function."""

    name: str
    line: int
    typing: bool
    local: bool


@dataclass(frozen=True)
class Module:
    """A module by its name. It is parsed for the first test that asks: collecting tests needs the names only."""

    name: str
    path: Path

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(), str(self.path))

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        return tuple(_imports(self.tree, False, False))

    @property
    def package(self) -> str:
        """The house's room: `modelcrate.registry`, `modelcrate_layers.tar.codec`."""
        return ".".join(self.name.split(".")[:2])


@cache
def modules() -> Mapping[str, Module]:
    """All modules of the two packages by name, without those that are put into images."""
    found = {}
    for root in ROOTS:
        for path in sorted((REPOSITORY / root).rglob("*.py")):
            name = ".".join(path.relative_to(REPOSITORY / root).with_suffix("").parts).removesuffix(".__init__")
            if not name.startswith(IN_IMAGES):
                found[name] = Module(name, path)
    return found


def edges(module: Module, *, typing: bool = False, local: bool = True) -> Iterator[str]:
    """The modules of ours that a module imports."""
    for each in module.imports:
        if (typing or not each.typing) and (local or not each.local):
            name = each.name if each.name in modules() else each.name.rpartition(".")[0]
            if name in modules() and name != module.name:
                yield name


def circles(names: Iterable[str], below: Callable[[str], Iterable[str]]) -> list[list[str]]:
    """Every set of more than one name that all reach each other (Tarjan's strongly connected components).

    Args:
        names: The names to begin with.
        below: Gives the names that a name imports.
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in below(name):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            at = stack.index(name)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for name in names:
        if name not in index:
            visit(name)
    return found


def _imports(node: ast.AST, typing: bool, local: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(each.name, child.lineno, typing, local) for each in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"a relative import in line {child.lineno}"
            yield from (Import(f"{child.module}.{each.name}", child.lineno, typing, local) for each in child.names)
        else:
            guarded = (
                isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING"
            )
            inner = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _imports(child, typing or guarded, local or inner)


def tool(name: str) -> ModuleType:
    """One of the programs in tools/, as a module."""
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
