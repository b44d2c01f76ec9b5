"""Google Cloud Run: a Knative Service (serving.knative.dev/v1) for `gcloud run services replace`."""

from __future__ import annotations

from typing import Any

from modelcrate.export.deployment import Deployment
from modelcrate.project.foreign_yaml import dump_yaml

_MOST_START_SECONDS = 240
"""Cloud Run waits at most this long for a container: its period times its failures."""

_PERIOD = 10


def write_service(deployment: Deployment) -> str:
    """Returns a service. Cloud Run takes requests on one port, which it also hands to the container as PORT."""
    port = deployment.ports[0]
    how: dict[str, Any] = {"tcpSocket": {"port": port}}
    if deployment.health is not None:
        how = {"httpGet": {"path": deployment.health, "port": port}}
    limits: dict[str, Any] = {"cpu": f"{deployment.cpus:g}", "memory": f"{deployment.memory >> 20}Mi"}
    spec: dict[str, Any] = {}
    if deployment.gpu:
        limits["nvidia.com/gpu"] = "1"
        spec["nodeSelector"] = {"run.googleapis.com/accelerator": "nvidia-l4"}
    container: dict[str, Any] = {
        "image": deployment.image,
        "ports": [{"name": "http1", "containerPort": port}],
        "resources": {"limits": limits},
        "startupProbe": {**how, "periodSeconds": _PERIOD, "failureThreshold": _MOST_START_SECONDS // _PERIOD},
    }
    if deployment.health is not None:
        container["livenessProbe"] = {**how, "periodSeconds": 2 * _PERIOD}
    service = {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": deployment.name},
        "spec": {"template": {"spec": {"containers": [container], **spec}}},
    }
    return dump_yaml(service)
