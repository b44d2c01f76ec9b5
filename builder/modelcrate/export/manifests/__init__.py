"""Files with which orchestrators run an image: one module a family, each a pure function from a Deployment to text."""

from __future__ import annotations

from modelcrate.export.deployment import Deployment
from modelcrate.export.manifests import azure_container, cloud_run, compose, kubernetes, systemd
from modelcrate_layers.errors import UserError

FORMATS = {
    "k8s": kubernetes.write_workload,
    "kserve": kubernetes.write_inference_service,
    "compose": compose.write_compose,
    "aci": azure_container.write_container_group,
    "cloudrun": cloud_run.write_service,
    "systemd": systemd.write_unit,
    "quadlet": systemd.write_quadlet,
}
"""The formats by the words that users type."""

FOR_JOBS = ("k8s", "compose", "systemd", "quadlet")
"""Those that also run a program without a port, which ends."""


def write_manifest(name: str, deployment: Deployment) -> str:
    """Returns the file with which an orchestrator runs an image.

    Args:
        name: One of FORMATS.
        deployment: How the image is to be run.

    Raises:
        UserError: The platform wants a port, and the image names none.
    """
    if not deployment.ports and name not in FOR_JOBS:
        raise UserError(
            f"the image names no port, and {name} runs servers only",
            hint=f"name the port in the project file (ports: [8000]), or take one of {', '.join(FOR_JOBS)}",
        )
    return FORMATS[name](deployment)
