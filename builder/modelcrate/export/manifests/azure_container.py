"""Azure Container Instances: the YAML of `az container create --file` (container groups, API version 2023-05-01)."""

from __future__ import annotations

from typing import Any

from modelcrate.export.deployment import START_SECONDS, Deployment
from modelcrate.project.foreign_yaml import dump_yaml

_GIGABYTE = 10**9
_PERIOD = 5

_HEAD = """\
# az container create --resource-group GROUP --file THIS_FILE
# The address is public, and the server asks for no password: put a gateway before it, or make the address Private with a subnet.
"""


def write_container_group(deployment: Deployment) -> str:
    """Returns a container group with a public address. Its location is that of most examples; it has to be named."""
    memory = max(0.5, round(deployment.memory / _GIGABYTE + 0.05, 1))
    properties: dict[str, Any] = {
        "image": deployment.image,
        "ports": [{"port": port, "protocol": "TCP"} for port in deployment.ports],
        "resources": {"requests": {"cpu": deployment.cpus, "memoryInGB": memory}},
    }
    if deployment.health is not None:
        asked = {"httpGet": {"path": deployment.health, "port": deployment.ports[0], "scheme": "http"}}
        alive = {"periodSeconds": 4 * _PERIOD, "initialDelaySeconds": START_SECONDS}
        properties |= {"readinessProbe": {**asked, "periodSeconds": _PERIOD}, "livenessProbe": {**asked, **alive}}
    group = {
        "apiVersion": "2023-05-01",
        "type": "Microsoft.ContainerInstance/containerGroups",
        "location": "eastus",
        "name": deployment.name,
        "properties": {
            "osType": "Linux",
            "restartPolicy": "Always",
            "ipAddress": {"type": "Public", "ports": [{"port": port, "protocol": "TCP"} for port in deployment.ports]},
            "containers": [{"name": deployment.name, "properties": properties}],
        },
    }
    return _HEAD + dump_yaml(group)
