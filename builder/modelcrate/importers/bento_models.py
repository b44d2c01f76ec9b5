"""The models that a service of BentoML's loads out of BentoML's store, read off its code, which is not run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from modelcrate.importers.reading import Reading

_LOADS = ("get", "load_model", "BentoModel")


def loaded_models(reading: Reading, service: str) -> dict[str, str]:
    """Returns the tags of the models that the module of a service loads, each with where it does: FILE:LINE.

    Only tags that stand in the code as texts are found: `bentoml.sklearn.get("iris:latest")`, or a name that is one.
    """
    module = service.partition(":")[0]
    file = module if module.endswith(".py") else f"{module.replace('.', '/')}.py"
    if Path(file).is_absolute() or ".." in Path(file).parts:
        return {}
    try:
        tree = ast.parse(reading.beside(file))
    except (SyntaxError, ValueError):
        return {}
    texts = {
        target.id: each.value.value
        for each in tree.body
        if isinstance(each, ast.Assign) and isinstance(each.value, ast.Constant) and isinstance(each.value.value, str)
        for target in each.targets
        if isinstance(target, ast.Name)
    }
    found: dict[str, str] = {}
    for call in _loads(tree):
        named = next((each.value for each in call.keywords if each.arg == "tag"), call.args[0] if call.args else None)
        tag = texts.get(named.id) if isinstance(named, ast.Name) else getattr(named, "value", None)
        if isinstance(tag, str):
            found.setdefault(tag, f"{file}:{call.lineno}")
    return found


def _loads(tree: ast.Module) -> Iterator[ast.Call]:
    """Yields the calls that load a model: `bentoml.FRAMEWORK.get` and the like, and BentoModel by whatever way it is named."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            words = ast.unparse(node.func).split(".")
            if words[-1] in _LOADS and ((words[0] == "bentoml" and len(words) > 2) or words[-1] == "BentoModel"):
                yield node
