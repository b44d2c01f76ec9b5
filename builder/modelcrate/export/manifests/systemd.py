"""systemd: a unit that starts the image with modelcrate alone, and podman's quadlet (podman-systemd.unit(5))."""

from __future__ import annotations

import json

from modelcrate.export.deployment import START_SECONDS, Deployment

PROGRAM = "/usr/local/bin/modelcrate"
"""Where the unit expects modelcrate."""


def write_unit(deployment: Deployment) -> str:
    """Returns a service unit that needs no engine. Its home is below /var/lib, so that images stay between starts."""
    words = [PROGRAM, "run", "--rm", "--name", deployment.name]
    words += [word for port in deployment.ports for word in ("--publish", f"{port}:{port}")]
    if deployment.served:
        words.append("--read-only")
    words.append(deployment.image)
    kind = "exec" if deployment.ports else "oneshot"
    return _sections(
        Unit=_unit(deployment),
        Service=[
            f"Type={kind}",
            f"Environment=MODELCRATE_HOME=/var/lib/modelcrate-{deployment.name}",
            f"StateDirectory=modelcrate-{deployment.name}",
            f"ExecStart={' '.join(_quote(word) for word in words)}",
            *_service(deployment),
            f"MemoryMax={deployment.memory}",
            f"CPUQuota={deployment.cpus * 100:.0f}%",
            "Delegate=yes",
        ],
        Install=["WantedBy=multi-user.target"],
    )


def write_quadlet(deployment: Deployment) -> str:
    """Returns a `.container` file for /etc/containers/systemd, or a user's ~/.config/containers/systemd.

    The command for health is a JSON list: podman hands a text to a shell, and the image may have none.
    """
    container = [f"Image={deployment.image}", f"ContainerName={deployment.name}"]
    container += [f"PublishPort=127.0.0.1:{port}:{port}" for port in deployment.ports]
    container += ["DropCapability=all", "NoNewPrivileges=true"]
    if deployment.served:
        container += ["ReadOnly=true", "Tmpfs=/tmp", f"HealthCmd={json.dumps(['CMD', *deployment.probe_command()])}"]
        container += ["HealthInterval=20s", f"HealthStartPeriod={START_SECONDS}s"]
    if deployment.gpu:
        container.append("AddDevice=nvidia.com/gpu=all")
    container.append(f"PodmanArgs=--memory={deployment.memory} --cpus={deployment.cpus:g}")
    return _sections(
        Unit=_unit(deployment),
        Container=container,
        Service=[*_service(deployment), "TimeoutStartSec=900"],
        Install=["WantedBy=default.target"],
    )


def _unit(deployment: Deployment) -> list[str]:
    return [f"Description=The image {deployment.name}", "Wants=network-online.target", "After=network-online.target"]


def _service(deployment: Deployment) -> list[str]:
    return ["Restart=on-failure", "RestartSec=5"] if deployment.ports else []


def _quote(word: str) -> str:
    """Quotes a word for ExecStart, where % and $ have a meaning (systemd.service(5), COMMAND LINES)."""
    return word.replace("%", "%%").replace("$", "$$")


def _sections(**sections: list[str]) -> str:
    return "\n".join(f"[{name}]\n" + "\n".join(lines) + "\n" for name, lines in sections.items())
