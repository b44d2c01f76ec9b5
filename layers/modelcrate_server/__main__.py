"""Starts the server: `python -m modelcrate_server`.

Only this module reads the process's environment and command line.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
from collections.abc import Sequence

from . import compat_imports
from .arguments import environment_of
from .listening import grpc_port, mention_ignored, mounted_model, ports
from .logs import set_up_logs
from .metrics import Metrics
from .platforms import VARIABLE, UnknownPlatformError, chosen, names
from .routing import Routing
from .settings import Settings, read_settings
from .startup import BOOT_FAILED, FirstFailure, start_app
from .stopping import stop_at_once
from .tracing import read_tracing
from .variables import SettingsError

_log = logging.getLogger("azmlinfsrv")


def main() -> None:
    """Serves until the process is ended.

    Exit codes: 0 after SIGTERM, 1 for a wrong command line, 3 when the service can't start.
    """
    os.environ.update(environment_of(sys.argv[1:], os.environ))
    try:
        platforms = chosen(os.environ)
    except UnknownPlatformError as missing:
        logging.basicConfig()
        _log.critical("%s names an unknown contract: %s; known are: %s", VARIABLE, missing, ", ".join(names()))
        sys.exit(BOOT_FAILED)
    if mounted := mounted_model(platforms):
        os.environ["AZUREML_MODEL_DIR"] = mounted
    compat_imports.install()  # before the log is set up: a user's configuration may name the original's classes
    try:
        settings = read_settings(os.environ)
        set_up_logs(settings)
        listening = ports(platforms, settings.process, os.environ)
        port_of_grpc = grpc_port(platforms, os.environ)
        read_tracing(os.environ)  # a wrong variable ends the start here, and not in each worker
    except SettingsError as error:
        logging.basicConfig()
        _log.critical("%s", error)
        sys.exit(BOOT_FAILED)
    if mounted:
        _log.info("The model is the one that the platform has mounted at %s", mounted)
    mention_ignored(platforms, os.environ)
    _require_script(settings)
    _require_packages(("gunicorn",) if port_of_grpc is None else ("gunicorn", "grpcio"))
    from .runner import SPARE_WORKERS, serve  # exists only where gunicorn does

    stop_at_once()
    first = FirstFailure()
    metrics = None
    if settings.process.metrics:
        metrics = Metrics(Routing(platforms, os.environ).logged_paths, settings.process.workers + SPARE_WORKERS)
    serve(lambda: start_app(settings, platforms, first, metrics), settings.process, listening, port_of_grpc)


def _require_packages(names: Sequence[str]) -> None:
    for name in names:
        if importlib.util.find_spec(_MODULES.get(name, name)) is None:
            _log.critical("%s is not installed, and the server needs it: add it to the dependencies of the image", name)
            sys.exit(BOOT_FAILED)


_MODULES = {"grpcio": "grpc"}


def _require_script(settings: Settings) -> None:
    if settings.entry_script or os.path.isfile(os.path.join(settings.app_root, "main.py")):
        return
    _log.error("There is no entry script: set AZUREML_ENTRY_SCRIPT, or use --entry_script or --config_file")
    sys.exit(1)


if __name__ == "__main__":
    main()
