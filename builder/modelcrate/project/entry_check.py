"""Looks at an entry script before anything is built, without running it: would the server be able to use it?"""

from __future__ import annotations

import ast
import codecs
import sys
from collections.abc import Iterator
from pathlib import PurePosixPath

from modelcrate_layers.errors import UserError

Faults = tuple[UserError, ...]


def check_entry(source: bytes, name: str, *, awaits: bool = True, python: str | None = None) -> Faults:
    """Returns all faults of the script, in the order of its lines; none when a server can use it.

    Args:
        source: The script, as it is stored.
        name: Its path, for the messages.
        awaits: Whether the server waits for the result of an asynchronous run(), as modelcrate's own does.
        python: The Python of the image, where it is known. Of a newer one than this, the syntax is not judged.
    """
    faults = [*_name_faults(name)]
    if source.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return (
            *faults,
            UserError("the entry script is in UTF-16", where=name, hint="save it as UTF-8; Python reads no UTF-16"),
        )
    try:
        tree = ast.parse(source, filename=name)
    except SyntaxError as error:
        if python is not None and int(python.partition(".")[2]) > sys.version_info.minor:
            return tuple(faults)
        where = f"{name}:{error.lineno}" if error.lineno else name
        return (
            *faults,
            UserError(
                f"the entry script is no Python: {error.msg}",
                where=where,
                why=(error.text or "").rstrip(),
                hint="mend the line; the target's Python has to take it",
            ),
        )
    except (ValueError, RecursionError, MemoryError) as error:
        return (
            *faults,
            UserError(
                f"the entry script is no Python: {error}",
                where=name,
                hint="save it as UTF-8, or name its encoding in the first line (PEP 263)",
            ),
        )
    present = dict(bindings(tree.body))
    for wanted in ("init", "run"):
        if wanted not in present and "*" not in present:
            from modelcrate.project.pages import page  # a build that has nothing to do starts without it

            text = f"the entry script has no function {wanted}({'data' if wanted == 'run' else ''})"
            hint = f"a server calls init() once and run(data) for every request; see {page('entry-script')}"
            faults.append(UserError(text, where=name, hint=hint))
    functions = [node for node in present.values() if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    shapes = [fault for function in functions for fault in _shape_faults(function, name, awaits)]
    return (*faults, *sorted(shapes, key=lambda fault: int(fault.where.rpartition(":")[2])))


def _name_faults(name: str) -> Iterator[UserError]:
    """Yields what is wrong with the script's name. The server loads it by its path, so it need not be a module's name."""
    if PurePosixPath(name).suffix != ".py":
        yield UserError(
            "the entry script's name does not end in .py", where=name, hint="rename it, for instance to score.py"
        )


def bindings(body: list[ast.stmt]) -> Iterator[tuple[str, ast.AST]]:
    """Yields the names that running the module binds, each with what binds it last; `*` for an import of everything."""
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, node
            case ast.Import() | ast.ImportFrom():
                for alias in node.names:
                    yield alias.asname or alias.name.partition(".")[0], node
            case ast.Assign():
                yield from ((name, node) for target in node.targets for name in _names(target))
            case ast.AnnAssign() if node.value is not None:
                yield from ((name, node) for name in _names(node.target))
            case ast.If() | ast.Try() | ast.TryStar() | ast.With() | ast.For() | ast.While():
                for part in (getattr(node, field, []) for field in ("body", "handlers", "orelse", "finalbody")):
                    for inner in part:
                        yield from bindings(inner.body if isinstance(inner, ast.ExceptHandler) else [inner])


def _names(target: ast.expr) -> Iterator[str]:
    return (node.id for node in ast.walk(target) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))


def _shape_faults(function: ast.FunctionDef | ast.AsyncFunctionDef, name: str, awaits: bool) -> Iterator[UserError]:
    if function.name not in {"init", "run"}:
        return
    where = f"{name}:{function.lineno}"
    if isinstance(function, ast.AsyncFunctionDef) and not (awaits and function.name == "run"):
        yield UserError(
            f"{function.name}() is asynchronous",
            where=where,
            why="the server calls it and doesn't await it",
            hint=f"make it a plain function: def {function.name}(...)",
        )
    if function.decorator_list:
        return  # the result of a decorator is not known without running it
    yield from (_init_faults if function.name == "init" else _run_faults)(function.args, where)


def _init_faults(arguments: ast.arguments, where: str) -> Iterator[UserError]:
    positional = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    if positional > 0 or None in arguments.kw_defaults:
        yield UserError(
            "init() requires arguments", where=where, why="the server calls it without any", hint="give them defaults"
        )


def _run_faults(arguments: ast.arguments, where: str) -> Iterator[UserError]:
    refused = [
        (bool(arguments.posonlyargs), "positional-only arguments"),
        (arguments.vararg is not None, "*args"),
        (arguments.kwarg is not None, "**kwargs"),
    ]
    if found := [text for present, text in refused if present]:
        yield UserError(
            f"run() has {' and '.join(found)}",
            where=where,
            why="the server passes its arguments by name",
            hint="name them: def run(data)",
        )
    elif not any(argument.arg != "request_headers" for argument in (*arguments.args, *arguments.kwonlyargs)):
        yield UserError("run() takes no input", where=where, hint="give it an argument for the data: def run(data)")
