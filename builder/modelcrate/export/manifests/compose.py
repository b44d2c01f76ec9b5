"""Compose (compose-spec), as docker compose and podman-compose read it."""

from __future__ import annotations

from typing import Any

from modelcrate.export.deployment import START_SECONDS, Deployment
from modelcrate.project.foreign_yaml import dump_yaml


def write_compose(deployment: Deployment) -> str:
    """Returns a compose file with one service. Ports are published on 127.0.0.1 only."""
    service: dict[str, Any] = {"image": deployment.image, "restart": "unless-stopped" if deployment.ports else "no"}
    if deployment.ports:
        service["ports"] = [f"127.0.0.1:{port}:{port}" for port in deployment.ports]
    if deployment.served:
        service |= {"read_only": True, "tmpfs": ["/tmp"]}  # noqa: S108 - a path in the container
        service["healthcheck"] = {
            "test": ["CMD", *deployment.probe_command()],
            "interval": "20s",
            "timeout": "10s",
            "start_period": f"{START_SECONDS}s",
        }
    service |= {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}
    resources: dict[str, Any] = {"limits": {"cpus": f"{deployment.cpus:g}", "memory": f"{deployment.memory >> 20}M"}}
    if deployment.gpu:
        resources["reservations"] = {"devices": [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]}
    service["deploy"] = {"resources": resources}
    return dump_yaml({"services": {deployment.name: service}})
