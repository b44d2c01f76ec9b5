"""The ports to listen on and the folder of the model, which platforms choose by variables and mounts."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence

from .platforms import Platform
from .settings import Process
from .variables import whole_number

_log = logging.getLogger("azmlinfsrv")


def ports(platforms: Sequence[Platform], process: Process, environ: Mapping[str, str]) -> tuple[int, ...]:
    """Returns each port once: only MODELCRATE_PORT where it is set, else each platform's; and the health port, if there is one.

    Raises:
        SettingsError: A variable is not a port.
    """
    if environ.get("MODELCRATE_PORT"):
        found = [whole_number(environ, "MODELCRATE_PORT", 0, low=1, high=65535)]
    else:
        found = [
            whole_number({"port": each.port_in(environ)}, "port", each.port, low=1, high=65535) for each in platforms
        ]
    found += [process.health_port] if process.health_port is not None else []
    return tuple(dict.fromkeys(found))


def grpc_port(platforms: Sequence[Platform], environ: Mapping[str, str]) -> int | None:
    """Returns the port for gRPC: MODELCRATE_GRPC_PORT, else that of the platform that speaks it; None without one.

    Raises:
        SettingsError: The variable is not a port.
    """
    found = [each.grpc_port for each in platforms if each.grpc_port is not None]
    return whole_number(environ, "MODELCRATE_GRPC_PORT", found[0], low=1, high=65535) if found else None


def mounted_model(platforms: Sequence[Platform]) -> str:
    """Returns the folder into which a platform has mounted a model, or an empty text."""
    folders = [each.model_folder for each in platforms if each.model_folder]
    return next((folder for folder in folders if os.path.isdir(folder) and os.listdir(folder)), "")


def mention_ignored(platforms: Sequence[Platform], environ: Mapping[str, str]) -> None:
    """Logs each variable of a platform that has no effect here."""
    for each in platforms:
        for name, why in each.ignored:
            if environ.get(name):
                _log.warning("%s is set and has no effect: %s", name, why)
