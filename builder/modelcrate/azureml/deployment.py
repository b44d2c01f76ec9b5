"""How a service is to be deployed: on this machine, or on a cloud's, which is refused before anything is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelcrate.azureml.absent import CLOUD
from modelcrate.render.stdout import print_text
from modelcrate_layers.errors import UserError


class DeploymentConfiguration:
    """The parameters of a deployment, as attributes. Not a value, because scripts set them one by one."""

    kind = "local"
    PARAMETERS = ""
    """The parameters of a cloud's kind, which are kept and have no effect."""

    def __init__(self, **parameters: Any) -> None:
        self.tags: Mapping[str, str] | None = None
        self.properties: Mapping[str, str] | None = None
        self.description: str | None = None
        self.location: str | None = None
        self.primary_key: str | None = None
        self.secondary_key: str | None = None
        known = {*vars(self), *self.PARAMETERS.split()}
        if unknown := sorted(set(parameters) - known):
            raise UserError(f"unknown parameters: {', '.join(unknown)}", hint=f"known are {', '.join(sorted(known))}")
        vars(self).update(dict.fromkeys(self.PARAMETERS.split()) | parameters)

    def __repr__(self) -> str:
        hidden = ("primary_key", "secondary_key", "ssl_key_pem_file")
        shown = ", ".join(
            f"{key}={value!r}" for key, value in vars(self).items() if value is not None and key not in hidden
        )
        return f"{type(self).__name__}({shown})"

    def validate_configuration(self) -> None:
        """Checks the parameters."""

    def validate_image(self, image: object) -> None:
        """Does nothing: images are checked when they are built."""

    def print_deploy_configuration(self) -> None:
        """Prints the parameters, but for keys."""
        print_text(repr(self))


class LocalWebserviceDeploymentConfiguration(DeploymentConfiguration):
    """A deployment on this machine. `port` is the port of 127.0.0.1; None for any free one."""

    def __init__(self, port: int | None = None) -> None:
        super().__init__()
        self.port = port
        self.validate_configuration()

    def validate_configuration(self) -> None:
        """Checks the port.

        Raises:
            UserError: It is no port.
        """
        if self.port is not None and not (
            isinstance(self.port, int) and not isinstance(self.port, bool) and 0 < self.port < 65536
        ):
            raise UserError(f"not a port: {self.port!r:.40}", hint="expected a number from 1 to 65535, or None")


class AciServiceDeploymentConfiguration(DeploymentConfiguration):
    """A deployment in Azure Container Instances. `Model.deploy` refuses it."""

    kind = "Azure Container Instances"
    PARAMETERS = """cpu_cores memory_gb auth_enabled ssl_enabled enable_app_insights ssl_cert_pem_file ssl_key_pem_file ssl_cname
        dns_name_label collect_model_data cmk_vault_base_url cmk_key_name cmk_key_version vnet_name subnet_name"""


class AksServiceDeploymentConfiguration(DeploymentConfiguration):
    """A deployment in Azure Kubernetes Service. `Model.deploy` refuses it."""

    kind = "Azure Kubernetes Service"
    PARAMETERS = """autoscale_enabled autoscale_min_replicas autoscale_max_replicas autoscale_refresh_seconds
        autoscale_target_utilization collect_model_data auth_enabled cpu_cores memory_gb enable_app_insights scoring_timeout_ms
        replica_max_concurrent_requests max_request_wait_time num_replicas gpu_cores period_seconds initial_delay_seconds
        timeout_seconds success_threshold failure_threshold namespace token_auth_enabled compute_target_name cpu_cores_limit
        memory_gb_limit blobfuse_enabled"""


class AksEndpointDeploymentConfiguration(AksServiceDeploymentConfiguration):
    """A deployment as an endpoint of Azure Kubernetes Service. `Model.deploy` refuses it."""

    PARAMETERS = f"{AksServiceDeploymentConfiguration.PARAMETERS} version_name traffic_percentile is_default is_control_version_type"

    def validate_endpoint_configuration(self) -> None:
        """Checks the parameters."""


def local_configuration(config: DeploymentConfiguration | None) -> LocalWebserviceDeploymentConfiguration:
    """Returns the configuration, if it is for this machine.

    Raises:
        UserError: It is for a cloud.
    """
    if config is None:
        return LocalWebserviceDeploymentConfiguration()
    if not isinstance(config, LocalWebserviceDeploymentConfiguration):
        raise CLOUD.error(getattr(config, "kind", type(config).__name__))
    config.validate_configuration()
    return config
