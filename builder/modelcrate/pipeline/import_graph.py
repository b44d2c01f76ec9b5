"""What a script imports, and what the project's own modules import that it reaches. They are parsed, and never imported or run."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from modelcrate.pipeline.entry_candidates import MAX_TEXT, read_some
from modelcrate_layers.frozen import dataclass

MAX_MODULES = 5_000
"""Modules of a project that are followed."""


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module.

    Attributes:
        module: Its dotted name.
        where: File and line.
        always: Whether it is imported whenever the module that imports it is: not in a function, a `try` or an `if`.
        relative: Whether it is relative to a package that is not there, as in a script that belongs to none.
        possible: Whether it may be a name in a module instead.
    """

    module: str
    where: str
    always: bool
    relative: bool = False
    possible: bool = False


def imports_of(script: str, files: Mapping[str, Path], roots: Sequence[str]) -> list[Import]:
    """Returns all imports of modules that are not the project's own, by the script and by all of the project that it reaches.

    Args:
        script: The script's place among the files.
        files: The files that go into the image, by their places there, each with where it is now.
        roots: The folders of the image from which modules are imported; empty for the top.
    """
    waiting, visited, found = [(script, "")], {script}, dict[tuple[str, str], Import]()
    while waiting and len(visited) < MAX_MODULES:
        place, package = waiting.pop()
        for each in _imports(files[place], place, package):
            local = None if each.relative else local_files(each.module, files, roots)
            if local is None and not each.possible:
                found.setdefault((each.module, each.where), each)
            for inner, inside in local or ():
                if inner not in visited:
                    visited.add(inner)
                    waiting.append((inner, inside))
    return list(found.values())


def local_files(module: str, files: Mapping[str, Path], roots: Sequence[str]) -> list[tuple[str, str]] | None:
    """Returns the files that importing a module of the project runs, each with the package that it is in.

    Returns None for a module that is not the project's. A folder with Python files and no `__init__.py` is a package, too (PEP 420).
    """
    parts = module.split(".")
    for root in roots:
        top = PurePosixPath(root)
        holder = f"{top / parts[0]}/"
        package = any(name.startswith(holder) and name.endswith(".py") for name in files)
        if not package and str(top / f"{parts[0]}.py") not in files:
            continue
        out = []
        for count in range(1, len(parts) + 1):
            here = top.joinpath(*parts[:count])
            if str(here / "__init__.py") in files:
                out.append((str(here / "__init__.py"), ".".join(parts[:count])))
            elif f"{here}.py" in files:
                out.append((f"{here}.py", ".".join(parts[: count - 1])))
        return out
    return None


def _imports(file: Path, shown: str, package: str) -> Iterator[Import]:
    data = read_some(file, MAX_TEXT)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # of the entry script, it has been said; any other may never be imported
    yield from _walk(tree.body, shown, package, True)


def _walk(body: Sequence[ast.AST], shown: str, package: str, always: bool) -> Iterator[Import]:
    for node in body:
        match node:
            case ast.Import():
                yield from (Import(alias.name, f"{shown}:{node.lineno}", always) for alias in node.names)
            case ast.ImportFrom():
                yield from _from(node, shown, package, always)
            case ast.If() if _never_holds(node.test):
                yield from _walk(node.orelse, shown, package, always)
            case ast.ClassDef():
                yield from _walk(node.body, shown, package, always)
            case ast.With() | ast.AsyncWith():
                yield from _walk(node.body, shown, package, always and not _suppresses(node))
            case _:
                yield from _walk(list(ast.iter_child_nodes(node)), shown, package, False)


def _from(node: ast.ImportFrom, shown: str, package: str, always: bool) -> Iterator[Import]:
    where = f"{shown}:{node.lineno}"
    base = node.module or ""
    if node.level:
        above = package.split(".") if package else []
        if node.level > len(above):
            yield Import("." * node.level + base, where, always, relative=True)
            return
        base = ".".join([*above[: len(above) - node.level + 1], *([base] if base else [])])
    if base:
        yield Import(base, where, always)
    names = (alias.name for alias in node.names if alias.name != "*")
    yield from (Import(f"{base}.{name}" if base else name, where, False, possible=True) for name in names)


def _never_holds(test: ast.expr) -> bool:
    """Returns whether a condition does not hold in an imported script: `TYPE_CHECKING`, and `__name__ == "__main__"`."""
    text = ast.unparse(test)
    return text in ("TYPE_CHECKING", "typing.TYPE_CHECKING") or text.startswith("__name__ == ")


def _suppresses(node: ast.With | ast.AsyncWith) -> bool:
    """Returns whether a `with` may swallow an error: `contextlib.suppress` and the like."""
    return any("suppress" in ast.unparse(item.context_expr) for item in node.items)
