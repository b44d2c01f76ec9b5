"""From settings to a serving application: the debugger, the script, its init(), the documents.

A failure ends the process with code 3.
"""

from __future__ import annotations

import faulthandler
import itertools
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence

from .app import ScoringApp
from .entry import EntryError, load_entry
from .logs import reroute_prints
from .metrics import Metrics
from .platforms import Platform
from .service import Service
from .settings import Settings
from .stopping import Stopped
from .swagger import write_documents

_log = logging.getLogger("azmlinfsrv")

BOOT_FAILED = 3
"""The exit code by which gunicorn knows that starting another worker would not help."""
TREE_LINES = 200


class FirstFailure:
    """Decides which of several workers reports why they can't start. It is made before they are forked."""

    def __init__(self) -> None:
        self._token, writer = os.pipe()
        os.set_blocking(self._token, False)
        os.write(writer, b"1")

    def claim(self) -> bool:
        """Returns whether no other worker has reported."""
        try:
            return bool(os.read(self._token, 1))
        except BlockingIOError:
            return False


def start_app(
    settings: Settings, platforms: Sequence[Platform], first: FirstFailure, metrics: Metrics | None = None
) -> ScoringApp:
    """Returns the application, with its script initialised.

    Ends the process with code 3 when that fails. The reason is logged once, also when several workers fail.
    """
    faulthandler.enable()
    _attach_debugger(settings)
    reroute_prints()
    _mention(settings)
    try:
        app = _app(settings, platforms, metrics)
    except _FailedError as failure:
        if first.claim():
            _log.error("%s", failure, exc_info=failure.__cause__)
            failure.explain()
        else:
            _log.error("This worker could not start either")
        sys.exit(BOOT_FAILED)
    _log.info("Worker with pid %d is ready; run() may take %d ms", os.getpid(), settings.scoring_timeout_ms)
    return app


class _FailedError(Exception):
    """The service can't start: the text and the cause are for the log, and `explain` logs what helps to understand it."""

    def __init__(self, message: str, explain: Callable[[], None] = lambda: None) -> None:
        super().__init__(message)
        self.explain = explain


def _app(settings: Settings, platforms: Sequence[Platform], metrics: Metrics | None) -> ScoringApp:
    try:
        entry = load_entry(settings)
    except EntryError as error:
        raise _FailedError(str(error), lambda: _log_script(settings)) from error
    try:
        entry.init()
    except Stopped:
        raise
    except BaseException as error:  # SystemExit too: a script that leaves in init() has failed
        message = f"init() of the entry script failed: {error!r}"
        raise _FailedError(message, lambda: _log_models(settings.model_dir)) from error
    try:
        return ScoringApp(Service(entry, write_documents(entry, settings), settings), platforms, metrics)
    except Exception as error:
        raise _FailedError(f"The swagger documents could not be written: {error}") from error


def _log_script(settings: Settings) -> None:
    _log.error("The entry script is %r, the app root %s", settings.entry_script or "main.py", settings.app_root)


def _log_models(folder: str) -> None:
    if not folder:
        _log.error("AZUREML_MODEL_DIR is not set, so there is no model directory")
        return
    if not os.path.exists(folder):
        _log.error("The model directory is %r, and there is no such directory", folder)
        return
    _log.info("Contents of the model directory %s:", folder)
    tree = model_tree(folder)
    for line in itertools.islice(tree, TREE_LINES):
        _log.info("%s", line)
    if next(tree, None) is not None:
        _log.info("and more; these were the first %d lines", TREE_LINES)


def model_tree(path: str, depth: int = 0) -> Iterator[str]:
    """Yields the lines of a tree of files, sorted, each level indented by four blanks.

    Links to folders are named and not followed.
    """
    name = " " * 4 * depth + os.path.basename(os.path.normpath(path))
    if os.path.isdir(path) and (depth == 0 or not os.path.islink(path)):
        yield name + os.sep
        for child in sorted(os.listdir(path)):
            yield from model_tree(os.path.join(path, child), depth + 1)
    else:
        yield name


def _mention(settings: Settings) -> None:
    for key in settings.unknown_keys:
        _log.warning("The config file has a key that this server doesn't know: %s", key)
    if settings.telemetry_wanted:
        _log.warning(
            "Application Insights and model data collection are not part of this server; nothing is sent. For traces set "
            "OTEL_EXPORTER_OTLP_ENDPOINT, for counts MODELCRATE_METRICS=true; azureml-monitoring in the script collects data; "
            "Microsoft's own server has both: server: azureml"
        )
    if settings.cors_origins:
        _log.info("Answers may be read by scripts from these origins: %s", ", ".join(settings.cors_origins))


def _attach_debugger(settings: Settings) -> None:
    if settings.debug_port is None:
        return
    _log.warning("AZUREML_DEBUG_PORT is set: waiting for a debugger on port %d", settings.debug_port)
    try:
        import debugpy  # only images made for debugging have it
    except ModuleNotFoundError:
        _log.error("AZUREML_DEBUG_PORT is set, and debugpy is not installed")
        sys.exit(BOOT_FAILED)
    debugpy.connect(settings.debug_port)
    debugpy.wait_for_client()
