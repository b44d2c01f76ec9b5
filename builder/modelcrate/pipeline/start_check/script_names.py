"""What the names in a script stand for: modules and what is in them, by its imports; places of files, by the expressions that make them."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath

FILE = "__file__"
MODEL_DIR = "AZUREML_MODEL_DIR"

Path = PurePosixPath
_SAME = frozenset(
    {
        *("os.path.abspath", "os.path.realpath", "os.path.normpath", "os.path.expanduser", "os.fspath", "str"),
        *("pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath"),
    }
)
"""Functions that return the path which they are given, as far as it matters here."""

_Inner = Callable[[ast.expr], "Path | None"]
"""Returns the path that a part of an expression makes."""

_ENVIRONMENT = frozenset({"os.getenv", "os.environ.get"})


def imported_names(tree: ast.Module) -> dict[str, str]:
    """Returns the names that imports alone bind, and always to the same: each with the dotted name of a module or of what is in it."""
    bound: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        for name, what in _bindings(node):
            bound.setdefault(name, set()).add(what)
    return {name: next(iter(found)) for name, found in bound.items() if len(found) == 1 and "" not in found}


def bound_names(tree: ast.Module) -> frozenset[str]:
    """Returns the names that anything but an import binds, anywhere in a file."""
    return frozenset(name for node in ast.walk(tree) for name, what in _bindings(node) if not what)


def _bindings(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yields the names that a node binds; those that are no imports with nothing."""
    match node:
        case ast.Import():
            for alias in node.names:
                yield (alias.asname, alias.name) if alias.asname else (alias.name.partition(".")[0],) * 2
        case ast.ImportFrom(level=0, module=str(module)):
            yield from ((alias.asname or alias.name, f"{module}.{alias.name}") for alias in node.names)
        case ast.ImportFrom():
            yield from ((alias.asname or alias.name, "") for alias in node.names)
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name, ""
        case ast.Name(ctx=ast.Store() | ast.Del()):
            yield node.id, ""
        case ast.arg():
            yield node.arg, ""


def dotted(node: ast.expr, names: Mapping[str, str]) -> str:
    """Returns the dotted name of an expression such as `np.random.seed`; empty where it is not known what its first name is.

    Names of built-in functions stand for themselves.
    """
    match node:
        case ast.Name():
            return names.get(node.id, node.id if node.id in ("open", "str", "__import__") else "")
        case ast.Attribute():
            above = dotted(node.value, names)
            return f"{above}.{node.attr}" if above else ""
    return ""


def place_of(node: ast.expr, names: Mapping[str, str], values: Mapping[str, Path], file: Path) -> Path | None:  # noqa: PLR0911 - a case for each form
    """Returns the path that an expression makes; None where that is not known.

    Args:
        node: The expression.
        names: What the imports of its script bind.
        values: The paths that variables are known to have.
        file: The script's path, for `__file__`.

    Returns:
        A path. One below AZUREML_MODEL_DIR begins with that name; one that is relative stays so.
    """

    def inner(each: ast.expr) -> Path | None:
        return place_of(each, names, values, file)

    match node:
        case ast.Constant(value=str(text)):
            return Path(text)
        case ast.Name(id="__file__"):
            return file
        case ast.Name():
            return values.get(node.id)
        case ast.Attribute(attr="parent"):
            found = inner(node.value)
            return found.parent if found is not None else None
        case ast.Subscript(value=ast.Attribute(attr="parents", value=of), slice=ast.Constant(value=int(above))):
            found = inner(of)
            return found.parents[above] if found is not None and 0 <= above < len(found.parents) else None
        case ast.Subscript(slice=ast.Constant(value="AZUREML_MODEL_DIR")) if dotted(node.value, names) == "os.environ":
            return Path(MODEL_DIR)
        case ast.BinOp(op=ast.Div()):
            return _joined([inner(node.left), inner(node.right)])
        case ast.BinOp(op=ast.Add(), right=ast.Constant(value=str(text))) if text.startswith("/"):
            return _joined([inner(node.left), Path(text.lstrip("/"))])
        case ast.JoinedStr():
            return _formatted(node, inner)
        case ast.Call():
            return _called(node, inner, names)
    return None


def _called(node: ast.Call, inner: _Inner, names: Mapping[str, str]) -> Path | None:
    function, arguments = dotted(node.func, names), [*node.args]
    first = arguments[0] if arguments else None
    if isinstance(node.func, ast.Attribute) and node.func.attr in ("resolve", "absolute", "as_posix") and not arguments:
        return inner(node.func.value)
    if isinstance(node.func, ast.Attribute) and node.func.attr == "joinpath" and not function:
        return _joined([inner(node.func.value), *map(inner, arguments)])
    if isinstance(first, ast.Constant) and first.value == MODEL_DIR and function in _ENVIRONMENT:
        return Path(MODEL_DIR)
    if function == "os.path.dirname" and first is not None:
        found = inner(first)
        return found.parent if found is not None else None
    if function in _SAME and len(arguments) == 1 and first is not None:
        return inner(first)
    if function == "os.path.join" or function in _SAME:
        return _joined([inner(each) for each in arguments])
    return None


def _formatted(node: ast.JoinedStr, inner: _Inner) -> Path | None:
    """An f-string of a path at its beginning, and of texts and paths behind it."""
    texts: list[str | None] = []
    for each in node.values:
        match each:
            case ast.Constant(value=str(text)):
                texts.append(text)
            case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
                texts.append(str(found) if (found := inner(value)) is not None else None)
            case _:
                return None
    return None if None in texts else Path("".join(filter(None, texts)))


def _joined(parts: list[Path | None]) -> Path | None:
    known = [each for each in parts if each is not None]
    return Path(*known) if known and len(known) == len(parts) else None


def normal(path: Path) -> Path:
    """Returns a path without `.` and `..` in it."""
    return Path(os.path.normpath(path))
