"""The classes of Azure Machine Learning's SDK, over modelcrate: the same calls, without an account, a service or Docker.

"The original" in this package is that SDK.

from modelcrate.azureml import CondaDependencies, Environment, InferenceConfig, Model, Workspace
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelcrate.azureml.conda_dependencies import CondaDependencies
    from modelcrate.azureml.container_registry import ContainerRegistry, RegistryIdentity
    from modelcrate.azureml.environment import Environment
    from modelcrate.azureml.inference_config import InferenceConfig
    from modelcrate.azureml.model import Model
    from modelcrate.azureml.package import ModelPackage
    from modelcrate.azureml.resources import ResourceConfiguration
    from modelcrate.azureml.sections import DockerSection, PythonSection
    from modelcrate.azureml.workspace import Workspace
    from modelcrate_layers.errors import CrateError as WebserviceException

_HOMES = {
    "CondaDependencies": "conda_dependencies",
    "ContainerRegistry": "container_registry",
    "RegistryIdentity": "container_registry",
    "DockerSection": "sections",
    "Environment": "environment",
    "InferenceConfig": "inference_config",
    "Model": "model",
    "ModelPackage": "package",
    "PythonSection": "sections",
    "ResourceConfiguration": "resources",
    "Workspace": "workspace",
}

__all__ = [
    "CondaDependencies",
    "ContainerRegistry",
    "DockerSection",
    "Environment",
    "InferenceConfig",
    "Model",
    "ModelPackage",
    "PythonSection",
    "RegistryIdentity",
    "ResourceConfiguration",
    "WebserviceException",
    "Workspace",
]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used."""
    from importlib import import_module

    if name == "WebserviceException":  # the original raises this class; here it is the base class of all errors
        return import_module("modelcrate_layers.errors").CrateError
    if name not in _HOMES:
        raise AttributeError(f"module 'modelcrate.azureml' has no attribute {name!r}")
    return getattr(import_module(f"modelcrate.azureml.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
