"""The classes of Azure Machine Learning's SDK, over modelcrate: the same calls, without an account, a service or Docker.

"The original" in this package is that SDK. Its names that are a cloud's service can be imported as well; their use raises an error that
says what to do instead (`absent`).

from modelcrate.azureml import CondaDependencies, Environment, InferenceConfig, Model, Workspace
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelcrate.azureml.conda_dependencies import CondaDependencies
    from modelcrate.azureml.container_registry import ContainerRegistry, RegistryIdentity
    from modelcrate.azureml.environment import Environment
    from modelcrate.azureml.exceptions import ModelNotFoundException
    from modelcrate.azureml.images import ContainerImage, Image
    from modelcrate.azureml.inference_config import InferenceConfig
    from modelcrate.azureml.local_service import LocalWebservice
    from modelcrate.azureml.model import Model
    from modelcrate.azureml.package import ModelPackage
    from modelcrate.azureml.resources import ResourceConfiguration
    from modelcrate.azureml.sections import DockerSection, PythonSection
    from modelcrate.azureml.webservice import AciWebservice, AksEndpoint, AksWebservice, Webservice
    from modelcrate.azureml.workspace import Workspace
    from modelcrate_layers.errors import CrateError as WebserviceException

_HOMES = {
    "authentication": """AbstractAuthentication ArmTokenAuthentication AzureCliAuthentication
        InteractiveLoginAuthentication MsiAuthentication ServicePrincipalAuthentication TokenAuthentication""",
    "conda_dependencies": "CondaDependencies",
    "container_registry": "ContainerRegistry RegistryIdentity",
    "deployment": """AciServiceDeploymentConfiguration AksEndpointDeploymentConfiguration AksServiceDeploymentConfiguration
        DeploymentConfiguration LocalWebserviceDeploymentConfiguration""",
    "environment": "Environment EnvironmentReference",
    "exceptions": "ModelNotFoundException",
    "images": "ContainerImage Image UnknownImage",
    "inference_config": "InferenceConfig",
    "local_service": "LocalWebservice",
    "microsofts_images": "DEFAULT_CPU_IMAGE DEFAULT_GPU_IMAGE MPI_CPU_IMAGE MPI_GPU_IMAGE",
    "model": "Model",
    "offline_run": "OfflineRun Run",
    "package": "ModelPackage",
    "resources": "ResourceConfiguration",
    "sections": "DatabricksSection DockerImagePlatform DockerSection PythonSection RSection SparkSection",
    "webservice": "AciWebservice AksEndpoint AksWebservice UnknownWebservice Webservice",
    "workspace": "Workspace",
}
"""The names of each module."""

_OLD = {
    "DockerEnvironment": "DockerSection",
    "EnvironmentDefinition": "Environment",
    "PythonEnvironment": "PythonSection",
    "SparkEnvironment": "SparkSection",
    "_OfflineRun": "OfflineRun",
    "WebserviceDeploymentConfiguration": "DeploymentConfiguration",
}
"""Older names of the original for some of them."""

__all__ = [
    "AciWebservice",
    "AksEndpoint",
    "AksWebservice",
    "CondaDependencies",
    "ContainerImage",
    "ContainerRegistry",
    "DockerSection",
    "Environment",
    "Image",
    "InferenceConfig",
    "LocalWebservice",
    "Model",
    "ModelNotFoundException",
    "ModelPackage",
    "PythonSection",
    "RegistryIdentity",
    "ResourceConfiguration",
    "Webservice",
    "WebserviceException",
    "Workspace",
]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used."""
    from importlib import import_module

    name = _OLD.get(name, name)
    for home, names in _HOMES.items():
        if name in names.split():
            return getattr(import_module(f"modelcrate.azureml.{home}"), name)
    if not name.startswith("_"):
        from modelcrate.azureml.absent import ABSENT, absent
        from modelcrate.azureml.exceptions import ALIASES, NEVER_RAISED

        if found := ALIASES.get(name) or NEVER_RAISED.get(name):
            return found
        if name in ABSENT:
            return absent(name, ABSENT[name])
    raise AttributeError(f"module 'modelcrate.azureml' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
