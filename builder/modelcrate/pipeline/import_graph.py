"""What a script imports, and what the project's own modules import that it reaches. They are parsed, and never imported or run."""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
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
        fault: What is wrong with a file that can't be read as Python, in place of a module.
    """

    module: str
    where: str
    always: bool
    relative: bool = False
    possible: bool = False
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Sources:
    """The project's own code as it lies in the image.

    Attributes:
        files: The files, by their places there, each with where it is now.
        roots: The folders there from which modules are imported; empty for the top.
        project: The project's folder; messages name files from there on.
    """

    files: Mapping[str, Path]
    roots: tuple[str, ...]
    project: Path
    _modules: frozenset[str]
    """The places of all modules and packages, without endings. A folder without `__init__.py` is a package, too (PEP 420)."""

    @classmethod
    def of(cls, files: Mapping[str, Path], roots: Sequence[str], project: Path) -> Sources:
        """Returns the sources with these files of a project, which are imported from these folders."""
        code = [PurePosixPath(name) for name in files if name.endswith((".py", ".so"))]
        places = {str(folder) for file in code for folder in file.parents}
        return cls(
            files,
            tuple(roots),
            project,
            frozenset(places | {str(file.with_name(file.name.partition(".")[0])) for file in code}),
        )

    def shown(self, place: str) -> str:
        """Returns what a file is called in messages: its path in the project, or its place in the image."""
        file = self.files[place]
        return str(file.relative_to(self.project)) if file.is_relative_to(self.project) else place

    def imported(self, module: str) -> list[tuple[str, str]] | None:
        """Returns the files that importing a module of the project runs, each with the package that it is in.

        Returns None for a module that is not the project's.
        """
        parts = module.split(".")
        top = next(
            (PurePosixPath(root) for root in self.roots if str(PurePosixPath(root, parts[0])) in self._modules), None
        )
        places = [top.joinpath(*parts[:count]) for count in range(1, len(parts) + 1)] if top is not None else []
        if not all(str(place) in self._modules for place in places) or not places:
            return None
        out = []
        for count, place in enumerate(places, 1):
            if str(place / "__init__.py") in self.files:
                out.append((str(place / "__init__.py"), ".".join(parts[:count])))
            elif f"{place}.py" in self.files:
                out.append((f"{place}.py", ".".join(parts[: count - 1])))
        return out


def imports_of(script: str, sources: Sources, python: str, modules: Sequence[str] = ()) -> list[Import]:
    """Returns all imports of modules that are not the project's own, by the script and by all of the project that it reaches.

    Args:
        script: The script's place among the files.
        sources: The project's own code.
        python: The Python of the image, such as 3.11, which decides what conditions on its version mean.
        modules: More modules that are imported in the image: those that pickles name.
    """
    sure = [(script, ""), *(each for name in modules for each in sources.imported(name) or ())]
    perhaps: list[
        tuple[str, str]
    ] = []  # what is reached on a condition only: all that it imports is on that condition, too
    visited, found = set[str](), dict[tuple[str, str], Import]()
    while (sure or perhaps) and len(visited) < MAX_MODULES:
        always = bool(sure)
        place, package = (sure or perhaps).pop()
        if place in visited:
            continue
        visited.add(place)
        for found_here in _imports(sources.files[place], sources.shown(place), package, python):
            each = found_here if always else replace(found_here, always=False)
            local = None if each.relative or each.fault else sources.imported(each.module)
            if local is None and not each.possible:
                found.setdefault((each.module, each.where), each)
            (sure if each.always else perhaps).extend(local or ())
    return list(found.values())


def _imports(file: Path, shown: str, package: str, python: str) -> Iterator[Import]:
    data, minor = read_some(file, MAX_TEXT), int(python.partition(".")[2])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(data)
    except SyntaxError as fault:
        yield _unread(fault, shown, minor)
        return
    except (ValueError, RecursionError, MemoryError):
        return  # it may be Python all the same
    if minor < sys.version_info.minor:
        try:
            ast.parse(data, feature_version=(3, minor))
        except SyntaxError as fault:
            yield Import("", f"{shown}:{fault.lineno or 1}", True, fault=f"is not of Python {python}: {fault.msg}")
    yield from _Reader(shown, package, minor).imports(tree.body, True)


def _unread(fault: SyntaxError, shown: str, minor: int) -> Import:
    """Returns what is said of a file that is not of this machine's Python. It may be of the image's, where that is newer."""
    where, here = f"{shown}:{fault.lineno or 1}", sys.version_info.minor
    if minor <= here:
        return Import("", where, True, fault=f"is no Python: {fault.msg}")
    return Import(
        "", where, False, fault=f"can't be read by Python 3.{here}, which is here, so its imports are not checked"
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the imports of one file, which is in a package, for a Python 3 with this minor version."""

    shown: str
    package: str
    minor: int

    def imports(self, body: Sequence[ast.AST], always: bool) -> Iterator[Import]:
        """Yields the imports of these statements, and of all in them."""
        for node in body:
            match node:
                case ast.Import():
                    yield from (Import(alias.name, f"{self.shown}:{node.lineno}", always) for alias in node.names)
                case ast.ImportFrom():
                    yield from self._from(node, always)
                case ast.If():
                    holds = _holds(node.test, self.minor)
                    yield from self.imports([node.test], False)
                    yield from self.imports(node.body if holds is not False else [], always and bool(holds))
                    yield from self.imports(node.orelse if not holds else [], always and holds is False)
                case ast.ClassDef():
                    yield from self.imports(node.body, always)
                case ast.With() | ast.AsyncWith():
                    yield from self.imports(node.body, always and not _suppresses(node))
                case _:
                    yield from self.imports(list(ast.iter_child_nodes(node)), False)

    def _from(self, node: ast.ImportFrom, always: bool) -> Iterator[Import]:
        where = f"{self.shown}:{node.lineno}"
        base = node.module or ""
        if node.level:
            above = self.package.split(".") if self.package else []
            if node.level > len(above):
                yield Import("." * node.level + base, where, always, relative=True)
                return
            base = ".".join([*above[: len(above) - node.level + 1], *([base] if base else [])])
        if base:
            yield Import(base, where, always)
        names = (alias.name for alias in node.names if alias.name != "*")
        yield from (Import(f"{base}.{name}" if base else name, where, always, possible=True) for name in names)


def _holds(test: ast.expr, minor: int) -> bool | None:
    """Returns whether a condition holds when a script is imported in an image; None where that is not known here."""
    text = ast.unparse(test)
    if text in ("TYPE_CHECKING", "typing.TYPE_CHECKING") or text.startswith("__name__ == "):
        return False
    match test:
        case ast.Compare(
            left=ast.Attribute(value=ast.Name(id="sys"), attr="version_info"),
            ops=[ast.GtE() | ast.Lt() as comparison],
            comparators=[ast.Tuple(elts=[ast.Constant(value=int(major)), ast.Constant(value=int(least))])],
        ):
            newer = (3, minor) >= (major, least)
            return newer if isinstance(comparison, ast.GtE) else not newer
        case ast.Constant(value=value):
            return bool(value)
    return None


def _suppresses(node: ast.With | ast.AsyncWith) -> bool:
    """Returns whether a `with` may swallow an error: `contextlib.suppress` and the like."""
    return any("suppress" in ast.unparse(item.context_expr) for item in node.items)
