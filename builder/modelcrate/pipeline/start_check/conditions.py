"""Which parts of a script run in an image: conditions on its Python and its system, what catches errors, what is evaluated at once."""

from __future__ import annotations

import ast
import builtins
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from modelcrate.pipeline.start_check.script_names import dotted

_SYSTEM: Mapping[str, str] = {"sys.platform": "linux", "os.name": "posix", "platform.system": "Linux"}
"""What an image is asked for most often, and answers."""

_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.GtE: operator.ge,
    ast.Gt: operator.gt,
    ast.LtE: operator.le,
    ast.Lt: operator.lt,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}

_ANY_PATCH = 1000
"""Stands for the number of a patch release: (3, 11) is less than every 3.11."""

_CATCHES_IMPORTS = frozenset(
    {"ImportError", "ModuleNotFoundError", "Exception", "BaseException", "AttributeError", "TypeError", "NameError"}
)


def holds(test: ast.expr, minor: int, main: bool, names: Mapping[str, str]) -> bool | None:
    """Returns whether a condition holds when a script runs in an image; None where that is not known here.

    Args:
        test: The condition.
        minor: The minor version of the image's Python 3.
        main: Whether the script is started as a program, and not imported.
        names: What its imports bind.
    """
    match test:
        case ast.Constant(value=value):
            return bool(value)
        case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
            return False
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            found = holds(inner, minor, main, names)
            return None if found is None else not found
        case ast.BoolOp(op=kind, values=values):
            each = [holds(value, minor, main, names) for value in values]
            deciding = isinstance(kind, ast.Or)
            return deciding if deciding in each else None if None in each else not deciding
        case ast.Compare(left=ast.Name(id="__name__"), ops=[ast.Eq()], comparators=[ast.Constant(value="__main__")]):
            return main
        case ast.Compare(left=left, ops=[comparison], comparators=[right]):
            return _compared(left, comparison, right, minor, names)
        case ast.Call(func=ast.Attribute(attr="startswith", value=value), args=[ast.Constant(value=str(text))]):
            system = _SYSTEM.get(dotted(value, names))
            return system.startswith(text) if system is not None else None
    return None


def _compared(
    left: ast.expr, comparison: ast.cmpop, right: ast.expr, minor: int, names: Mapping[str, str]
) -> bool | None:
    compare = _COMPARISONS.get(type(comparison))
    try:
        wanted = ast.literal_eval(right)
    except (ValueError, TypeError):
        return None
    if compare is None:
        return None
    called = left.func if isinstance(left, ast.Call) and not left.args else left
    system = _SYSTEM.get(dotted(called, names))
    if system is not None:
        return compare(system, wanted) if isinstance(wanted, str) else None
    here: tuple[int, int] | int | None = None
    if dotted(left, names) == "sys.version_info" and isinstance(wanted, tuple):
        if len(wanted) > 2 and wanted[:2] == (3, minor):
            return None  # which patch release it is, is not known
        return compare((3, minor, _ANY_PATCH), wanted)
    if isinstance(left, ast.Subscript) and dotted(left.value, names) == "sys.version_info":
        match left.slice:
            case ast.Constant(value=0 | 1 as index):
                here = 3 if index == 0 else minor
            case ast.Slice(lower=None, upper=ast.Constant(value=2), step=None):
                here = (3, minor)
    elif dotted(left, names) in ("sys.version_info.major", "sys.version_info.minor"):
        here = 3 if dotted(left, names).endswith("major") else minor
    return compare(here, wanted) if here is not None and type(here) is type(wanted) else None


def catches(handler: ast.excepthandler) -> bool:
    """Returns whether a handler may go on after an import that fails. One that ends in `raise` does not."""
    assert isinstance(handler, ast.ExceptHandler)
    if isinstance(handler.body[-1], ast.Raise) and not any(map(leaves, handler.body)):
        return False
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = {each.id if isinstance(each, ast.Name) else "" for each in kinds}
    builtin = {each for each in names if isinstance(getattr(builtins, each, None), type)}
    return names != builtin or bool(names & _CATCHES_IMPORTS)


def leaves(node: ast.stmt) -> bool:
    """Returns whether a statement may leave the function that it is in, so that what follows is not sure to run."""
    if isinstance(node, ast.Return):
        return True
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return False
    parts = [node, *getattr(node, "handlers", ()), *getattr(node, "cases", ())]
    blocks = ("body", "orelse", "finalbody")
    return any(leaves(each) for part in parts for block in blocks for each in getattr(part, block, ()))


def suppresses(node: ast.With | ast.AsyncWith) -> bool:
    """Returns whether a `with` may swallow an error: `contextlib.suppress` and the like."""
    return any("suppress" in ast.unparse(item.context_expr) for item in node.items)


def assigned(node: ast.stmt) -> Sequence[ast.expr]:
    """Returns what a statement assigns to; an annotation without a value is none."""
    if isinstance(node, ast.Assign):
        return node.targets
    return [node.target] if isinstance(node, ast.AugAssign | ast.AnnAssign) and node.value is not None else []


def imported_modules(body: Sequence[ast.stmt]) -> tuple[str, ...]:
    """Returns the modules that statements import themselves."""
    plain = [alias.name for each in body if isinstance(each, ast.Import) for alias in each.names]
    return (
        *plain,
        *(each.module for each in body if isinstance(each, ast.ImportFrom) and each.module and not each.level),
    )


def makes_texts(node: ast.stmt) -> bool:
    """Returns whether a statement makes texts of the annotations in its file."""
    if not isinstance(node, ast.ImportFrom) or node.module != "__future__":
        return False
    return any(each.name == "annotations" for each in node.names)


def unions_in(annotation: ast.expr) -> list[ast.BinOp]:
    """Returns the unions (`int | None`) in an annotation, which may be a text."""
    tree: ast.AST = annotation
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            tree = ast.parse(annotation.value, mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError):  # whoever evaluates it tells it
            return []
    return [each for each in ast.walk(tree) if isinstance(each, ast.BinOp) and isinstance(each.op, ast.BitOr)]


def parts_of(node: ast.AST) -> tuple[Sequence[ast.AST], Sequence[ast.AST]]:
    """Returns the parts of an expression that are evaluated with it, and those that may not be."""
    match node:
        case ast.Lambda():
            return [], [node.body]
        case ast.IfExp():
            return [node.test], [node.body, node.orelse]
        case ast.BoolOp():
            return node.values[:1], node.values[1:]
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            first, *others = node.generators
            inner = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
            return [first.iter], [*first.ifs, *others, *inner]
    return list(ast.iter_child_nodes(node)), []


def runs_at_once(function: ast.FunctionDef) -> bool:
    """Returns whether a call runs the body: not that of a generator, nor of a function that a decorator has replaced."""
    yields = (isinstance(each, ast.Yield | ast.YieldFrom) for each in ast.walk(function))
    return not function.decorator_list and not any(yields)
