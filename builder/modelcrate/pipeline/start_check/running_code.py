"""What a script does whenever it is imported or started: its imports, the names it needs of the standard library, the files it loads.

The tree is followed, and nothing is run. A statement runs always, unless it is in a function that nothing calls for sure, behind a
condition that is not known, in a loop, or where its errors are caught. What is not sure to run is reported as such.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from modelcrate.pipeline.start_check.code_findings import CodeFault, File, Finding, Import, Loaded, PathChange
from modelcrate.pipeline.start_check.conditions import (
    assigned,
    catches,
    holds,
    imported_modules,
    leaves,
    makes_texts,
    parts_of,
    runs_at_once,
    suppresses,
    unions_in,
)
from modelcrate.pipeline.start_check.loaders import loaded_place
from modelcrate.pipeline.start_check.script_names import bound_names, dotted, imported_names, normal, place_of
from modelcrate.resolve.standard_library import versions_with
from modelcrate_layers.frozen import replace

_IMPORTERS = frozenset({"importlib.import_module", "__import__", "builtins.__import__"})
_PATH_METHODS = frozenset({"sys.path.append", "sys.path.insert", "site.addsitedir"})
_MODELS = frozenset(
    [
        "pydantic.BaseModel",
        "pydantic.main.BaseModel",
        "pydantic.RootModel",
        "pydantic_settings.BaseSettings",
        "pydantic.dataclasses.dataclass",
    ]
)
"""What makes a class one whose fields Pydantic evaluates."""
_TYPES = frozenset(
    ["int", "str", "float", "bool", "bytes", "list", "dict", "tuple", "set", "frozenset", "object", "type", "complex"]
)


def findings_in(file: File) -> list[Finding]:
    """Returns what a file does when it is imported, and then when the server calls it; what may happen later follows, as not sure."""
    walk = _Walk(file)
    return [*walk.statements(file.tree.body, True), *(each for name in file.calls for each in walk.follow(name))]


class _Walk:
    """Follows the statements of one file. Not a value: it remembers which functions it has followed, and what variables hold."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._names = imported_names(file.tree)
        tops = [
            each for each in file.tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        ]
        often = Counter(each.name for each in tops)
        self._own = {each.name: each for each in tops if often[each.name] == 1 or each.name in file.calls}
        self._bound = bound_names(file.tree)
        self._values: dict[str, PurePosixPath] = {}
        self._followed: set[str] = set()
        self._later = file.minor >= 14 or any(makes_texts(each) for each in file.tree.body)
        """Whether annotations are not evaluated by themselves."""

    def follow(self, name: str) -> Iterator[Finding]:
        """Yields what a function of the file, or the making of an instance of a class, is sure to do when it is called."""
        node = self._own.get(name)
        if isinstance(node, ast.ClassDef):
            node = next(
                (each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"), None
            )
        if node is None or name in self._followed:
            return
        self._followed.add(name)
        yield from self.statements(node.body, True, inside=True)

    def statements(self, body: Iterable[ast.stmt], always: bool, *, inside: bool = False) -> Iterator[Finding]:
        """Yields what these statements do. `inside`: they are in a function, where annotations of variables are not evaluated."""
        for node in body:
            yield from self._statement(node, always, inside)
            always = always and not leaves(node)

    def _statement(self, node: ast.stmt, always: bool, inside: bool) -> Iterator[Finding]:
        match node:
            case ast.Import():
                yield from self._import(node, always)
            case ast.ImportFrom():
                yield from self._import_from(node, always)
            case ast.ClassDef():
                yield from self._expressions([*node.decorator_list, *node.bases, *node.keywords], always)
                yield from self.statements(node.body, always)
                yield from self._fields(node, always)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from self._definition(node, always)
            case ast.AnnAssign():
                yield from self._annotations([] if inside else [node.annotation], always)
                yield from self._expressions(filter(None, [node.value]), always)
                self._remember(node)
            case _ if hasattr(node, "body") or isinstance(node, ast.Match):
                yield from self._block(node, always, inside)
            case _:
                yield from self._expressions(ast.iter_child_nodes(node), always)
                self._remember(node)
                yield from self._path_assigned(node)

    def _definition(self, node: ast.FunctionDef | ast.AsyncFunctionDef, always: bool) -> Iterator[Finding]:
        """The parts of a function that are evaluated where it is defined; its body runs later, if ever."""
        given = node.args
        yield from self._expressions([*node.decorator_list, *given.defaults, *filter(None, given.kw_defaults)], always)
        every = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
        yield from self._annotations([*(each.annotation for each in every), node.returns], always)
        yield from self.statements(node.body, False, inside=True)

    def _block(self, node: ast.stmt, always: bool, inside: bool) -> Iterator[Finding]:
        """Statements with others in them: conditions, loops, and what catches errors."""
        match node:
            case ast.If():
                known = holds(node.test, self._file.minor, self._file.main, self._names)
                yield from self._expressions([node.test], always)
                yield from self.statements(node.body * (known is not False), always and bool(known), inside=inside)
                yield from self.statements(node.orelse * (not known), always and known is False, inside=inside)
            case ast.With() | ast.AsyncWith():
                yield from self._expressions([item.context_expr for item in node.items], always)
                yield from self.statements(node.body, always and not suppresses(node), inside=inside)
            case ast.Try() | ast.TryStar():
                yield from self._try(node, always, inside)
            case ast.For() | ast.AsyncFor() | ast.While():
                yield from self._expressions([node.test if isinstance(node, ast.While) else node.iter], always)
                yield from self.statements([*node.body, *node.orelse], False, inside=inside)
            case ast.Match():
                yield from self._expressions([node.subject], always)
                yield from self.statements((each for case in node.cases for each in case.body), False, inside=inside)

    def _try(self, node: ast.Try | ast.TryStar, always: bool, inside: bool) -> Iterator[Finding]:
        catching = [each for each in node.handlers if catches(each)]
        after = tuple(name for each in catching for name in imported_modules(each.body))
        before = imported_modules(node.body)
        sure = always and not catching
        for found in self.statements([*node.body, *node.orelse], sure, inside=inside):
            if isinstance(found, Import) and catching:
                found = replace(found, instead=after, needed=always and bool(after))
            if not (catching and isinstance(found, CodeFault)):  # another way has been seen to
                yield found
        for handler in node.handlers:
            for found in self.statements(handler.body, False, inside=inside):
                yield replace(found, instead=before) if isinstance(found, Import) else found
        yield from self.statements(node.finalbody, always, inside=inside)

    def _import(self, node: ast.Import, always: bool) -> Iterator[Finding]:
        for alias in node.names:
            yield Import(alias.name, self._where(node), always)
            yield from self._lacking(alias.name, node, always)

    def _import_from(self, node: ast.ImportFrom, always: bool) -> Iterator[Finding]:
        where, base = self._where(node), node.module or ""
        if node.level:
            above = self._file.package.split(".") if self._file.package else []
            if node.level > len(above):
                yield Import("." * node.level + base, where, always, relative=True)
                return
            base = ".".join([*above[: len(above) - node.level + 1], *([base] if base else [])])
        if base:
            yield Import(base, where, always)
        for alias in node.names:
            if alias.name != "*":
                full = f"{base}.{alias.name}" if base else alias.name
                yield Import(full, where, always, possible=True)
                yield from self._lacking(full, node, always)

    def _annotations(self, nodes: Iterable[ast.expr | None], always: bool) -> Iterator[Finding]:
        for node in () if self._later else filter(None, nodes):
            yield from self._expressions([node], always)
            unions = unions_in(node) if self._file.minor < 10 and not isinstance(node, ast.Constant) else ()
            yield from (self._union(each, each, always) for each in unions[:1])

    def _fields(self, node: ast.ClassDef, always: bool) -> Iterator[CodeFault]:
        """Yields the unions among the fields of a Pydantic model: it evaluates them itself where Python does not."""
        if self._file.minor >= 10 or not self._is_model(node):
            return
        for each in node.body:
            found = each.annotation if isinstance(each, ast.AnnAssign) else None
            text = isinstance(found, ast.Constant) and isinstance(found.value, str)
            unions = unions_in(found) if found is not None and (self._later or text) else ()
            for union in unions[:1]:
                hint = 'write Optional or Union of typing, add eval-type-backport to the dependencies, or take python: "3.10" or newer'
                yield replace(self._union(union, each, always), hint=hint, unless="eval_type_backport")

    def _is_model(self, node: ast.ClassDef) -> bool:
        above = [each.value if isinstance(each, ast.Subscript) else each for each in node.bases]
        own = [self._own.get(each.id) for each in above if isinstance(each, ast.Name)]
        makers = [each.func if isinstance(each, ast.Call) else each for each in node.decorator_list]
        return any(dotted(each, self._names) in _MODELS for each in (*above, *makers)) or any(
            isinstance(each, ast.ClassDef) and each is not node and self._is_model(each) for each in own
        )

    def _expressions(self, nodes: Iterable[ast.AST], always: bool) -> Iterator[Finding]:
        """Yields what expressions do. Only those parts run always that are evaluated in any case."""
        for node in nodes:
            sure, perhaps = parts_of(node)
            if isinstance(node, ast.Call):
                yield from self._call(node, always)
            elif isinstance(node, ast.Attribute):
                yield from self._lacking(dotted(node, self._names), node, always, sure=True)
            elif isinstance(node, ast.Name) and node.id not in {*self._bound, *self._names, *self._own}:
                yield from self._lacking(f"builtins.{node.id}", node, always, sure=True)
            elif (
                isinstance(node, ast.BinOp)
                and isinstance(node.op, ast.BitOr)
                and self._file.minor < 10
                and any(map(self._is_type, (node.left, node.right)))
            ):
                yield self._union(node, node, always)
            yield from self._expressions(sure, always)
            yield from self._expressions(perhaps, False)

    def _call(self, node: ast.Call, always: bool) -> Iterator[Finding]:
        name, first = dotted(node.func, self._names), node.args[0] if node.args else None
        if (
            name in _IMPORTERS
            and isinstance(first, ast.Constant)
            and isinstance(first.value, str)
            and first.value[:1] != "."
        ):
            yield Import(first.value, self._where(node), always)
        for keyword in node.keywords if name else ():
            yield from self._lacking(f"{name}({keyword.arg})", node, always, sure=True)
        if name in _PATH_METHODS and node.args:
            yield PathChange(
                self._place(node.args[-1] if name != "site.addsitedir" else node.args[0]), self._where(node)
            )
        elif name.startswith("sys.path."):
            yield PathChange(None, self._where(node))
        if not always:
            return
        if (path := loaded_place(node, name, self._place)) is not None:
            yield Loaded(normal(path), self._where(node))
        if isinstance(node.func, ast.Name):
            function = self._own.get(node.func.id)
            if isinstance(function, ast.ClassDef) or (isinstance(function, ast.FunctionDef) and runs_at_once(function)):
                yield from self.follow(node.func.id)

    def _place(self, node: ast.expr | None) -> PurePosixPath | None:
        return place_of(node, self._names, self._values, self._file.path) if node is not None else None

    def _remember(self, node: ast.stmt) -> None:
        """Keeps the path that a variable is given; forgets that of one that is given another value."""
        for target in assigned(node):
            if isinstance(target, ast.Name):
                found = self._place(node.value) if isinstance(node, ast.Assign | ast.AnnAssign) else None
                self._values.pop(target.id, None)
                if found is not None:
                    self._values[target.id] = found

    def _path_assigned(self, node: ast.stmt) -> Iterator[Finding]:
        for each in assigned(node):
            of = each.value if isinstance(each, ast.Subscript) else each
            if dotted(of, self._names) == "sys.path":
                yield PathChange(None, self._where(node))

    def _lacking(self, name: str, node: ast.AST, always: bool, *, sure: bool = False) -> Iterator[Finding]:
        """Yields a fault for what the standard library of the image's Python lacks; for what is `sure`, only where it always runs."""
        known = versions_with(name) if "." in name and (always or not sure) else None
        if known is None or known[0] <= self._file.minor <= known[1]:
            return
        near = known[0] if self._file.minor < known[0] else known[1]
        function, argument, _ = name.partition("(")
        what = (
            f"the argument {name[len(function) + 1 : -1]} of {function}" if argument else name.removeprefix("builtins.")
        )
        yield CodeFault(
            f"uses {what}, which Python 3.{self._file.minor} does not have",
            self._where(node),
            always,
            f'Python 3.{near} has it: write python: "3.{near}" into modelcrate.yaml, or do without it',
        )

    def _union(self, union: ast.BinOp, node: ast.AST, always: bool) -> CodeFault:
        return CodeFault(
            f"writes types as `{ast.unparse(union)}`, which Python 3.{self._file.minor} can't evaluate",
            self._where(node),
            always,
            'begin the file with `from __future__ import annotations` (for annotations), write Optional or Union of typing, or take python: "3.10" or newer',
        )

    def _is_type(self, node: ast.expr) -> bool:
        node = node.value if isinstance(node, ast.Subscript) else node
        return isinstance(node, ast.Name) and node.id in _TYPES and node.id not in self._bound

    def _where(self, node: ast.AST) -> str:
        return f"{self._file.shown}:{getattr(node, 'lineno', 1)}"
