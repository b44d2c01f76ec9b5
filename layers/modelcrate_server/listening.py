"""Where the server listens, and from where the model comes: what platforms decide by variables and mounts."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence

from .platforms import Platform
from .settings import Process
from .variables import whole_number

_log = logging.getLogger("azmlinfsrv")


def ports(platforms: Sequence[Platform], process: Process, environ: Mapping[str, str]) -> tuple[int, ...]:
    """Every port once: MODELCRATE_PORT alone where it is set, else each platform's; and the health port, if there is one.

    `SettingsError` for one that is no port.
    """
    if environ.get("MODELCRATE_PORT"):
        found = [whole_number(environ, "MODELCRATE_PORT", 0, low=1, high=65535)]
    else:
        found = [
            whole_number({"port": each.port_in(environ)}, "port", each.port, low=1, high=65535) for each in platforms
        ]
    found += [process.health_port] if process.health_port is not None else []
    return tuple(dict.fromkeys(found))


def mounted_model(platforms: Sequence[Platform]) -> str:
    """The folder into which a platform has mounted a model; empty where none has."""
    folders = [each.model_folder for each in platforms if each.model_folder]
    return next((folder for folder in folders if os.path.isdir(folder) and os.listdir(folder)), "")


def mention_ignored(platforms: Sequence[Platform], environ: Mapping[str, str]) -> None:
    """A word for each variable of a platform that changes nothing here."""
    for each in platforms:
        for name, why in each.ignored:
            if environ.get(name):
                _log.warning("%s is set and has no effect: %s", name, why)
