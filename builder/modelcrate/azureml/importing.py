"""Maps the original's imports to modelcrate's for one process: `from azureml.core import Workspace` gives ours. Nothing is installed.

Its modules are made when they are imported. All have all names, because the original's modules have each other's as well. Packages of the
original that are not here can be imported too, because scripts import more than they use; the use of their names says what to do instead.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from functools import partial
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import modelcrate.azureml
from modelcrate._version import __version__
from modelcrate.azureml import exceptions
from modelcrate.azureml.absent import COMPUTE, Topic, absent
from modelcrate.project.pages import page
from modelcrate_layers.errors import CrateError

TOP = "azureml"
VERSION = f"1.61.0+modelcrate.{__version__}"
"""What scripts compare and print: the version of the original whose names these are, and ours as its local part (PEP 440)."""

MODULES: dict[str, str] = {
    "azureml": "",
    "azureml.core": """ComputeTarget ContainerRegistry Dataset Datastore diagnostic_log Environment Experiment Image Keyvault
        LinkedService Model PrivateEndPoint PrivateEndPointConfig Run RunConfiguration ScriptRun ScriptRunConfig
        SynapseWorkspaceLinkedServiceConfiguration Webservice Workspace attach_legacy_compute_target get_run
        is_compute_target_prepared prepare_compute_target remove_legacy_compute_target""",
    "azureml.core.authentication": """AbstractAuthentication ArmTokenAuthentication AzureCliAuthentication AzureMLTokenAuthentication
        InteractiveLoginAuthentication MsiAuthentication ServicePrincipalAuthentication TokenAuthentication""",
    "azureml.core.compute": """AdlaCompute AksCompute AmlCompute BatchCompute ComputeInstance ComputeTarget DatabricksCompute
        DataFactoryCompute DsvmCompute HDInsightCompute KubernetesCompute KustoCompute RemoteCompute SynapseCompute""",
    "azureml.core.compute_target": "ComputeTargetException LocalTarget",
    "azureml.core.conda_dependencies": "CondaDependencies",
    "azureml.core.container_registry": "ContainerRegistry RegistryIdentity",
    "azureml.core.databricks": "DatabricksSection EggLibrary JarLibrary MavenLibrary PyPiLibrary RCranLibrary",
    "azureml.core.dataset": "Dataset",
    "azureml.core.datastore": "Datastore",
    "azureml.core.environment": """CondaDependencies ContainerRegistry DEFAULT_CPU_IMAGE DEFAULT_GPU_IMAGE DatabricksSection DockerBuildContext DockerEnvironment
        DockerImageDetails DockerImagePlatform DockerSection Environment EnvironmentReference ImageBuildDetails PythonEnvironment
        PythonSection RCranPackage RGitHubPackage RSection SparkEnvironment SparkPackage SparkSection""",
    "azureml.core.experiment": "Experiment",
    "azureml.core.image": "ContainerImage Image UnknownImage",
    "azureml.core.image.container": "ContainerImage",
    "azureml.core.image.image": "Image",
    "azureml.core.image.unknown_image": "UnknownImage",
    "azureml.core.keyvault": "Keyvault",
    "azureml.core.linked_service": "LinkedService SynapseWorkspaceLinkedServiceConfiguration",
    "azureml.core.model": "InferenceConfig Model ModelPackage ModelProfile",
    "azureml.core.private_endpoint": "PrivateEndPoint PrivateEndPointConfig",
    "azureml.core.profile": "ModelProfile",
    "azureml.core.resource_configuration": "ResourceConfiguration",
    "azureml.core.run": "Run get_run",
    "azureml.core.runconfig": """CondaDependencies DEFAULT_CPU_IMAGE DEFAULT_GPU_IMAGE DockerConfiguration DockerSection Environment EnvironmentDefinition
        MPI_CPU_IMAGE MPI_GPU_IMAGE MpiConfiguration PyTorchConfiguration PythonSection RunConfiguration TensorflowConfiguration""",
    "azureml.core.script_run": "ScriptRun",
    "azureml.core.script_run_config": "ScriptRunConfig",
    "azureml.core.webservice": "AciWebservice AksEndpoint AksWebservice LocalWebservice UnknownWebservice Webservice",
    "azureml.core.webservice.aci": "AciServiceDeploymentConfiguration AciWebservice",
    "azureml.core.webservice.container_resource_requirements": "ContainerResourceRequirements",
    "azureml.core.webservice.aks": "AksEndpoint AksServiceDeploymentConfiguration AksWebservice",
    "azureml.core.webservice.local": "LocalWebservice LocalWebserviceDeploymentConfiguration",
    "azureml.core.webservice.unknown_webservice": "UnknownWebservice",
    "azureml.core.webservice.webservice": "Webservice WebserviceDeploymentConfiguration",
    "azureml.core.workspace": "Workspace",
    "azureml.exceptions": """ActivityFailedException AuthenticationException AzureMLAggregatedException AzureMLException
        ComputeTargetException DatasetTimestampMissingError DiscoveryUrlNotFoundException ExperimentExecutionException
        ModelNotFoundException ModelPathNotFoundException ParallelRunException ProjectSystemException RunConfigurationException
        RunEnvironmentException ServiceException SnapshotException TrainingException UserErrorException WebserviceException
        WorkspaceException WorkspacePrivateEndpointException""",
}
"""The original's modules and their names, as its documentation has them (azureml-core 1.61)."""

INSTEAD = {
    "azureml.core.compute": COMPUTE.instead,
    "azureml.train": "train with the framework itself, and register the file: Model.register(ws, PATH, NAME)",
    "azureml.pipeline": "run the steps from a script, make or a CI job; Model.register and Model.package are steps of it",
    "azureml.automl": "train with any tool, and register the file: Model.register(ws, PATH, NAME)",
    "azureml.data": "read the data from files or from your storage's own client",
    "azureml.dataprep": "read the data from files or from your storage's own client",
    "azureml.opendatasets": "read the data from files or from your storage's own client",
    "azureml.widgets": "print the state: package.wait_for_creation(show_output=True)",
    "azureml.mlflow": "use mlflow itself, and register the model's folder: Model.register(ws, PATH, NAME)",
    "azureml.tensorboard": "use tensorboard itself",
    "azureml.interpret": "use interpret-community itself",
    "azureml.explain": "use interpret-community itself",
    "azureml.contrib.services": "it belongs into the container: the server of an image has it; here the script is not a service",
    "azureml.contrib": "use the packages that it is made from, or leave it out",
    "azureml.monitoring": f"collect data in the script: {page('next-steps/collect-data')}",
    "azureml.datadrift": f"compare data with a tool of your own; a script collects it: {page('next-steps/collect-data')}",
    "azureml.telemetry": "leave it out",
    "azureml.history": "keep results in files; properties of a model keep their ids",
}
"""What takes the place of packages that are not here."""


class OriginalFinder(MetaPathFinder, Loader):
    """Finds the original's modules here, before any that is installed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Returns the module; None for names of others.

        Raises:
            ModuleNotFoundError: The module is the original's, and not here.
        """
        if fullname != TOP and not fullname.startswith(f"{TOP}."):
            return None
        if fullname in MODULES or _instead(fullname):
            return ModuleSpec(fullname, self, is_package=True)
        text = f"{fullname} is not in modelcrate, which has azureml.core's models, environments, packages and services"
        raise ModuleNotFoundError(text, name=fullname)

    def exec_module(self, module: ModuleType) -> None:
        """Gives a module its names, which are made when they are used."""
        name = module.__name__
        if name == "azureml.core":
            module.VERSION = module.__version__ = VERSION  # type: ignore[attr-defined]
        here = name in MODULES
        module.__getattr__ = partial(_ours if here else _stand_in, name)  # type: ignore[method-assign] # PEP 562
        module.__all__ = MODULES.get(name, "").split()  # type: ignore[attr-defined]
        module.__doc__ = f"A module of Azure's SDK, {'with' if here else 'which is not among'} modelcrate's classes."


def install() -> None:
    """Maps the imports from now on, in this process. Modules of the original that were imported before are forgotten."""
    for name in [each for each in sys.modules if each == TOP or each.startswith(f"{TOP}.")]:
        del sys.modules[name]
    sys.meta_path.insert(0, OriginalFinder())
    for name, value in _OF_EXCEPTIONS.items():
        setattr(CrateError, name, value)


_OF_EXCEPTIONS = {
    "inner_exception": property(lambda fault: fault.__cause__),
    "status_code": property(lambda fault: None),
    "print_stacktrace": traceback.print_exception,
}
"""Members of the original's exceptions that only its scripts use; `message` is one of ours."""


def _ours(module: str, wanted: str) -> Any:
    try:
        return getattr(modelcrate.azureml, wanted)
    except AttributeError:
        raise AttributeError(
            f"{module} has no {wanted!r} in modelcrate: it is not in the original's documentation, or not about models and services"
        ) from None


def _stand_in(module: str, wanted: str) -> Any:
    """Returns what takes the place of a name of a package that is not here."""
    if wanted.startswith("__"):
        raise AttributeError(wanted)
    if wanted.endswith(("Exception", "Error")):
        return exceptions.never_raised(wanted)
    return absent(wanted, Topic(f"{module} is not here", _instead(module)))


def _instead(module: str) -> str:
    """Returns what takes the place of a package that is not here; empty for one that the original has not."""
    return next((text for name, text in INSTEAD.items() if module == name or module.startswith(f"{name}.")), "")
