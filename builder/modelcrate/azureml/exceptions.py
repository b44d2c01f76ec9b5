"""The original's exceptions. Most of them are about its service and are never raised here, but scripts import and catch them."""

from __future__ import annotations

from modelcrate_layers.errors import CrateError, UserError

ALIASES: dict[str, type[CrateError]] = {
    "AzureMLException": CrateError,
    "WebserviceException": CrateError,
    "UserErrorException": UserError,
}
"""What the original raises for any fault is the base class of all errors here, so a script catches what it caught there."""


class ModelNotFoundException(UserError):  # noqa: N818 - the original's name
    """`Model.get_model_path` found no such model."""


def never_raised(name: str) -> type[CrateError]:
    """Returns a class for an exception of the cloud's service, so that a script can name it in `except`."""
    return type(name, (CrateError,), {"__doc__": "Never raised here: it is about a service of the cloud."})


NEVER_RAISED: dict[str, type[CrateError]] = {
    name: never_raised(name)
    for name in (
        "ActivityFailedException",
        "AuthenticationException",
        "AzureMLAggregatedException",
        "ComputeTargetException",
        "DatasetTimestampMissingError",
        "DiscoveryUrlNotFoundException",
        "ExperimentExecutionException",
        "ModelPathNotFoundException",
        "ParallelRunException",
        "ProjectSystemException",
        "RunConfigurationException",
        "RunEnvironmentException",
        "ServiceException",
        "SnapshotException",
        "TrainingException",
        "WorkspaceException",
        "WorkspacePrivateEndpointException",
    )
}
