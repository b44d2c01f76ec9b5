"""Writes the names of Azure's SDK v1 that tests/unit/azureml/test_surface.py holds modelcrate to: classes, members, parameters; no texts.

Run it with a Python that has the SDK: uv run --no-project --python 3.11 --with azureml-core==1.61.0.post4 tools/azure_surface.py
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import textwrap
import warnings
from pathlib import Path
from typing import Any

MODULES = (
    "azureml.core",
    "azureml.core.authentication",
    "azureml.core.compute",
    "azureml.core.conda_dependencies",
    "azureml.core.container_registry",
    "azureml.core.dataset",
    "azureml.core.datastore",
    "azureml.core.environment",
    "azureml.core.experiment",
    "azureml.core.image",
    "azureml.core.keyvault",
    "azureml.core.model",
    "azureml.core.private_endpoint",
    "azureml.core.profile",
    "azureml.core.resource_configuration",
    "azureml.core.run",
    "azureml.core.script_run",
    "azureml.core.script_run_config",
    "azureml.core.webservice",
    "azureml.core.webservice.aci",
    "azureml.core.webservice.aks",
    "azureml.core.webservice.local",
    "azureml.core.webservice.webservice",
    "azureml.core.workspace",
    "azureml.exceptions",
)
"""The modules about models, environments, services, and what their documentation refers to."""

TARGET = Path(__file__).parent.parent / "tests" / "unit" / "azureml" / "surface.json"


def main() -> None:
    """Writes the file."""
    warnings.simplefilter("ignore")
    found = {name: surface(name) for name in MODULES}
    TARGET.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def surface(module_name: str) -> dict[str, Any]:
    """The public names that a module exports or defines."""
    module = importlib.import_module(module_name)
    exported = getattr(module, "__all__", None)
    names = exported or [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and inspect.isclass(value) and value.__module__ == module_name
    ]
    return {name: description(getattr(module, name)) for name in sorted(set(names))}


def description(value: Any) -> dict[str, Any]:
    """What a name is: of a class its parameters, members and attributes; of a function its parameters."""
    if not inspect.isclass(value):
        return {"kind": "function", "parameters": parameters(value)}
    members = {}
    for name in sorted(set(dir(value)) - set(dir(Exception)) - set(dir(dict))):
        static = inspect.getattr_static(value, name)
        if not name.startswith("_") and not isinstance(static, property):
            members[name] = parameters(getattr(value, name)) if callable(getattr(value, name)) else None
    return {
        "kind": "exception" if issubclass(value, BaseException) else "class",
        "parameters": parameters(value),
        "members": members,
        "attributes": sorted({*properties(value), *attributes(value)} - set(members)),
    }


def parameters(value: Any) -> list[str]:
    """The names of public parameters."""
    try:
        found = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return []
    skipped = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [
        each.name
        for each in found
        if not each.name.startswith("_") and each.kind not in skipped and each.name != "self"
    ]


def properties(value: type) -> set[str]:
    """The names of public properties."""
    return {
        name
        for name in dir(value)
        if not name.startswith("_") and isinstance(inspect.getattr_static(value, name), property)
    }


def attributes(value: type) -> set[str]:
    """The names that its methods give to `self`."""
    found: set[str] = set()
    for each in value.__mro__:
        if not each.__module__.startswith("azureml"):
            continue
        try:
            source = textwrap.dedent(inspect.getsource(each))
        except OSError:  # it was made by a call
            continue
        for node in ast.walk(ast.parse(source)):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.ctx, ast.Store)
                and ast.unparse(node.value) == "self"
            ):
                found.add(node.attr)
    return {name for name in found if not name.startswith("_")}


if __name__ == "__main__":
    main()
