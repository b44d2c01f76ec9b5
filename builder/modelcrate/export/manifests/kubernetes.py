"""Kubernetes: a Deployment with its Service, a Job for a program without a port, and KServe's InferenceService."""

from __future__ import annotations

from typing import Any

from modelcrate.export.deployment import START_SECONDS, Deployment
from modelcrate.project.foreign_yaml import dump_yaml

_PERIOD = 5
"""Seconds between two requests for health."""

_KSERVE_PROTOCOLS = {"kserve": "v1", "oip": "v2", "oip-grpc": "v2"}
"""Our contracts, and what KServe calls the protocol over HTTP."""


def write_workload(deployment: Deployment) -> str:
    """Returns a Deployment (apps/v1) and a Service (v1), or a Job (batch/v1) if the image has no port."""
    labels = {"app.kubernetes.io/name": deployment.name}
    pod = {"metadata": {"labels": labels}, "spec": _pod(deployment, [_container(deployment, deployment.name)])}
    if not deployment.ports:
        pod["spec"]["restartPolicy"] = "Never"
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": deployment.name, "labels": labels}}
        return dump_yaml({**job, "spec": {"backoffLimit": 2, "template": pod}})
    workload = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": deployment.name, "labels": labels},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": pod},
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": deployment.name, "labels": labels},
        "spec": {
            "selector": labels,
            "ports": [{"name": f"http-{port}", "port": port, "targetPort": port} for port in deployment.ports],
        },
    }
    return dump_yaml(workload, service)


def write_inference_service(deployment: Deployment) -> str:
    """Returns KServe's InferenceService (serving.kserve.io/v1beta1) with the image as its predictor. KServe wants one port."""
    container = _container(deployment, "kserve-container")
    container["ports"] = [{"name": "http1", "containerPort": deployment.ports[0], "protocol": "TCP"}]
    spoken = sorted({protocol for name, protocol in _KSERVE_PROTOCOLS.items() if name in deployment.contracts})
    metadata: dict[str, Any] = {"name": deployment.name}
    service = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": metadata}
    text = dump_yaml({**service, "spec": {"predictor": _pod(deployment, [container])}})
    if spoken:
        return f"# The image speaks KServe's protocol {' and '.join(spoken)}.\n{text}"
    return (
        "# The image speaks none of KServe's protocols, so clients of KServe can't ask it; its own paths answer.\n"
        f"# `contracts: [kserve]` or `contracts: [oip]` in the project file changes that.\n{text}"
    )


def _pod(deployment: Deployment, containers: list[dict[str, Any]]) -> dict[str, Any]:
    selector = {"kubernetes.io/os": "linux"}
    if len(deployment.architectures) == 1:
        selector["kubernetes.io/arch"] = deployment.architectures[0]
    security: dict[str, Any] = {"seccompProfile": {"type": "RuntimeDefault"}}
    if deployment.user is not None:
        user, group = deployment.user
        security = {"runAsNonRoot": user != 0, "runAsUser": user, "runAsGroup": group, **security}
    pod = {
        "nodeSelector": selector,
        "automountServiceAccountToken": False,
        "securityContext": security,
        "containers": containers,
    }
    return {**pod, "volumes": [{"name": "tmp", "emptyDir": {}}]} if deployment.served else pod


def _container(deployment: Deployment, name: str) -> dict[str, Any]:
    memory = f"{deployment.memory >> 20}Mi"
    limits: dict[str, Any] = {"memory": memory}
    if deployment.gpu:
        limits["nvidia.com/gpu"] = 1
    container: dict[str, Any] = {"name": name, "image": deployment.image}
    if deployment.ports:
        container["ports"] = [{"name": f"http-{port}", "containerPort": port} for port in deployment.ports]
        container |= _probes(deployment)
    container["resources"] = {"requests": {"cpu": f"{deployment.cpus:g}", "memory": memory}, "limits": limits}
    container["securityContext"] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    if deployment.served:
        container["securityContext"]["readOnlyRootFilesystem"] = True
        container["volumeMounts"] = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - a path in the container
    return container


def _probes(deployment: Deployment) -> dict[str, Any]:
    """Probes by HTTP where the image names a path, else by a connection to its first port."""
    port = deployment.ports[0]
    how: dict[str, Any] = {"tcpSocket": {"port": port}}
    if deployment.health is not None:
        how = {"httpGet": {"path": deployment.health, "port": port}}
    return {
        "startupProbe": {**how, "periodSeconds": _PERIOD, "failureThreshold": START_SECONDS // _PERIOD},
        "readinessProbe": {**how, "periodSeconds": _PERIOD},
        "livenessProbe": {**how, "periodSeconds": 4 * _PERIOD, "timeoutSeconds": 10},
    }
