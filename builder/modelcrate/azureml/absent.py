"""What the original has and modelcrate has not, because it is a service of a cloud: each name says what to do instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NoReturn, TypeVar

from modelcrate.project.pages import page
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass

Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True)
class Topic:
    """A part of the original that is not here: what it is, and what to do instead."""

    what: str
    instead: str

    def error(self, name: str) -> UserError:
        """Returns the error for one of its names."""
        return UserError(f"{name} is not in modelcrate", why=self.what, hint=self.instead)


RUNS = Topic(
    "experiments and runs are kept by a cloud's service",
    "train with any tool, track it with MLflow or another tracker, and register the file: Model.register(ws, PATH, NAME)",
)
DATA = Topic(
    "datasets and datastores are kept by a cloud's service",
    "read the data from files or from your storage's own client, and keep its id in the properties of a model",
)
COMPUTE = Topic(
    "compute targets are machines of a cloud",
    f"an image runs anywhere: LocalWebservice.deploy_configuration(port=6789) here; for a cluster, {page('next-steps/kubernetes')}",
)
CLOUD = Topic(
    "it is a service of a cloud",
    "push the image of Model.package to a registry and start it there (`modelcrate emit aci REFERENCE`, or k8s, prints the file for that), "
    "or deploy here: LocalWebservice.deploy_configuration(port=6789)",
)
SECRETS = Topic(
    "secrets are kept by a cloud's service", "pass them to the container at its start: modelcrate run --env-file"
)
NETWORK = Topic(
    "private endpoints and linked services belong to a cloud",
    "a workspace is a folder or a registry: Workspace(address='workspace')",
)
ACCOUNT = Topic(
    "a workspace is a folder or a registry, and has no account, keys or dependent resources",
    "its address is ws.address; logins of a registry are made by modelcrate login",
)
KEYS = Topic(
    "a container here has no keys: it answers on this machine only",
    "call service.run or service.scoring_uri without a key; in production an ingress asks for one",
)
PROFILE = Topic("profiling asks a cloud for machines", "run the image, and measure it there: modelcrate run IMAGE")
IMAGES = Topic(
    "the original replaced it by Model.package in 2019",
    "Model.package(ws, models, InferenceConfig(entry_script=..., environment=...))",
)
DEPLOYING = Topic(
    "the original replaced it by Model.deploy in 2019",
    "Model.deploy(ws, name, models, InferenceConfig(...), LocalWebservice.deploy_configuration(port=6789))",
)
PAYLOADS = Topic("it makes a request of the cloud's service", "Model.package and Model.deploy take the object itself")
BUILD_CONTEXT = Topic(
    "a build context is built by running its commands, which takes a container engine",
    "build it once with one, and name the image: Environment.from_docker_image",
)
ENVIRONMENT_BUILD = Topic(
    "an environment is built with the image that uses it", "Model.package and Model.deploy build both"
)
LABELS = Topic(
    "environments have versions and no labels", "Environment.get(ws, NAME, version=...), or without one for the latest"
)
SAS = Topic("a SAS URL is an address of the cloud's storage", "model.download(FOLDER) writes the files")
R = Topic("packages of R and Spark are not installed", "name a base that has them: Environment.from_docker_image")

_NAMES: dict[Topic, str] = {
    RUNS: """Experiment ScriptRun ScriptRunConfig RunConfiguration RunStatus get_run diagnostic_log RunTypeV2
        DataReferenceConfiguration HistoryConfiguration MpiConfiguration ParallelTaskConfiguration PyTorchConfiguration
        TensorflowConfiguration HdiConfiguration SparkConfiguration ApplicationEndpointConfiguration DockerConfiguration ViewType
        HasExperimentPortal HyperDriveConfig SecretsClient""",
    DATA: """Dataset Datastore FileDataset TabularDataset Data DataPath DataLocation OutputData InputDatasets OutputDatasets
        DatacacheConfiguration DatacacheConsumptionConfig DatasetConsumptionConfig DatasetRegistrationOptions DatasetSnapshot
        GlobsOptions MountOptions OutputOptions RegistrationOptions UploadOptions Uri LinkOutput FileEncoding HistogramCompareMethod
        PromoteHeadersBehavior SkipLinesBehavior""",
    COMPUTE: """ComputeTarget AbstractComputeTarget LocalTarget AdlaCompute AksCompute AmlCompute BatchCompute ComputeInstance
        DatabricksCompute DataFactoryCompute DsvmCompute HDInsightCompute RemoteCompute KubernetesCompute KustoCompute SynapseCompute
        AmlComputeConfiguration KubernetesComputeConfiguration attach_legacy_compute_target is_compute_target_prepared
        prepare_compute_target remove_legacy_compute_target DatabricksCluster DatabricksEnvironment EggLibrary JarLibrary MavenLibrary
        PyPiLibrary RCranLibrary""",
    CLOUD: """AccessToken AksServiceAccessToken Audience AutoScaler ChainedIdentity ContainerResourceRequirements DataCollection
        AzureMLTokenAuthentication EncryptionProperties LivenessProbeRequirements VnetConfiguration WebServiceAccessToken""",
    SECRETS: "Keyvault KeyVaultContentType",
    NETWORK: """PrivateEndPoint PrivateEndPointConfig LinkedService LinkedServiceConfiguration
        SynapseWorkspaceLinkedServiceConfiguration""",
    PROFILE: "ModelProfile",
    IMAGES: "Asset ContainerImageConfig ImageConfig TargetRuntime",
    BUILD_CONTEXT: "DockerBuildContext",
    ENVIRONMENT_BUILD: "DockerImageDetails ImageBuildDetails",
    R: "RCranPackage RGitHubPackage SparkPackage Cr AzureContainerRegistry",
}
ABSENT = {name: topic for topic, names in _NAMES.items() for name in names.split()}
"""The original's names that are not here. They can be imported, because scripts import more than they use."""


class Absent(type):
    """The type of a name that is not here: its use in any way raises a UserError that says what to do instead."""

    topic: Topic

    def __call__(cls, *args: object, **kwargs: object) -> NoReturn:
        """Raises the error."""
        raise cls.topic.error(cls.__name__)

    def __getattr__(cls, name: str) -> NoReturn:
        """Raises the error; names of Python itself are absent as they are from any class."""
        if name.startswith("_"):
            raise AttributeError(name)
        raise cls.topic.error(f"{cls.__name__}.{name}")


def absent(name: str, topic: Topic) -> Absent:
    """Returns the stand-in for a name of the original."""
    return Absent(name, (), {"topic": topic, "__module__": "modelcrate.azureml"})


def refusing(
    methods: Mapping[Topic, str], properties: Mapping[Topic, str] = MappingProxyType({})
) -> Callable[[type[Kind]], type[Kind]]:
    """Returns a decorator that gives a class the original's members that are not here. Their use says what to do instead.

    Args:
        methods: The names of methods, by their topic.
        properties: The names of properties, by their topic.
    """

    def decorate(cls: type[Kind]) -> type[Kind]:
        for table, made in ((methods, refuse), (properties, RefusedProperty)):
            for topic, names in table.items():
                for name in names.split():
                    setattr(cls, name, made(f"{cls.__name__}.{name}", topic))
        return cls

    return decorate


def refuse(name: str, topic: Topic) -> Callable[..., Any]:
    """Returns a method of the original that is not here. Its call raises a UserError that says what to do instead."""

    def refused(*args: object, **kwargs: object) -> NoReturn:
        raise topic.error(name)

    refused.__name__ = name.rpartition(".")[2]
    refused.__doc__ = f"Raises a UserError: {topic.what}."
    return refused


class RefusedProperty:
    """A property of the original that is not here. Its reading raises a UserError that says what to do instead."""

    def __init__(self, name: str, topic: Topic) -> None:
        self.name, self.topic = name, topic

    def __get__(self, instance: object, owner: type | None = None) -> RefusedProperty:
        """Raises the error; of the class, returns itself."""
        if instance is None:
            return self
        raise self.topic.error(self.name)
