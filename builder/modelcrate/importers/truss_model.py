"""What the source of a Truss's model class says: its methods, and what it is made with. Nothing is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from modelcrate_layers.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Method:
    """A method of the class: its parameters without `self`, and whether it is asynchronous, yields, or takes the request of Truss's server."""

    parameters: tuple[str, ...]
    is_async: bool
    yields: bool
    takes_request: bool


@dataclass(frozen=True, slots=True)
class ModelClass:
    """What the source of a class says.

    Attributes:
        methods: Its own methods by their names.
        made_with: The parameters that it is made with.
        anything: Whether it takes any others, too (`**kwargs`).
        has_bases: Whether it has methods of other classes.
        imports: The modules that its file imports.
        words: The texts in its file, for the parameters that it looks for among the others.
    """

    methods: tuple[tuple[str, Method], ...] = ()
    made_with: tuple[str, ...] = ()
    anything: bool = False
    has_bases: bool = True
    imports: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()

    def is_given(self, name: str) -> bool:
        """Returns whether it wants a parameter of this name."""
        return name in self.made_with or (self.anything and (self.has_bases or name in self.words))

    def method(self, name: str) -> Method | None:
        """Returns a method; None where the class itself has none of that name."""
        return dict(self.methods).get(name)


def read_class(source: bytes, name: str) -> ModelClass | None:
    """Returns what a module says of one of its classes; None where it has none of that name.

    Raises:
        SyntaxError: It is no Python.
    """
    tree = ast.parse(source)
    found = next((node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name), None)
    if found is None:
        return None
    methods = [node for node in found.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    made = next((node.args for node in methods if node.name == "__init__"), None)
    with_names = tuple(each.arg for each in [*made.args[1:], *made.kwonlyargs]) if made else ()
    return ModelClass(
        tuple((node.name, _method(node)) for node in methods),
        with_names,
        made is not None and made.kwarg is not None,
        [ast.unparse(each) for each in found.bases] not in ([], ["object"]),
        frozenset(_imported(tree)),
        frozenset(
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ),
    )


UNKNOWN = ModelClass()
"""A class whose source is not there."""


def _method(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Method:
    bound = not any(ast.unparse(each) == "staticmethod" for each in node.decorator_list)
    parameters = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs][1 if bound else 0 :]
    annotations = [ast.unparse(each.annotation) for each in parameters if each.annotation is not None]
    return Method(
        tuple(each.arg for each in parameters),
        isinstance(node, ast.AsyncFunctionDef),
        any(isinstance(each, ast.Yield | ast.YieldFrom) for each in _own(node)),
        len(parameters) > 1 or any(each.rpartition(".")[2] == "Request" for each in annotations),
    )


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """Yields the parts of a function without those of the functions in it."""
    for each in ast.iter_child_nodes(node):
        if not isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            yield each
            yield from _own(each)


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name.partition(".")[0] for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
