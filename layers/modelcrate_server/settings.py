"""The settings of the server, from the environment and the config file, as frozen values.

`read_settings` takes a mapping: nothing here reads the process's own environment. A variable is preferred to the config file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import VERSION
from .described import Described, read_description
from .variables import SettingsError, switch, whole_number

DEFAULT_HOST = "0.0.0.0"  # noqa: S104  # a container's platform reaches it from outside, which is what it is for
DEFAULT_PORT = 5001
DEFAULT_HEALTH_PORT = 5000

FILE_KEYS = frozenset(
    {
        "AML_CORS_ORIGINS",
        "APP_INSIGHTS_LOG_RESPONSE_ENABLED",
        "AZUREML_DEBUG_PORT",
        "AZUREML_ENTRY_SCRIPT",
        "AZUREML_LOG_LEVEL",
        "AZUREML_MODEL_DIR",
        "AZUREML_SOURCE_DIRECTORY",
        "HOSTNAME",
        "MODELCRATE_BAD_INPUT_IS_400",
        "MODELCRATE_ENCODE_NUMPY",
        "MODELCRATE_MAX_BODY_BYTES",
        "MODELCRATE_PROBES",
        "SCORING_TIMEOUT_MS",
        "SERVICE_NAME",
        "SERVICE_PATH_PREFIX",
        "SERVICE_VERSION",
        "WORKSPACE_NAME",
    }
)
"""What a config file may set. The rest shapes the process, and is read from the environment only."""


@dataclass(frozen=True)
class Service:
    """The names of the service in its swagger documents."""

    name: str
    version: str
    path_prefix: str


@dataclass(frozen=True)
class ModelName:
    """The name and version of the model, for protocols that name one."""

    name: str
    version: str


@dataclass(frozen=True)
class Departures:
    """Where this server may do more than the original; everything is off by default."""

    encode_numpy: bool
    bad_input_is_400: bool
    probes: bool
    max_body_bytes: int | None


@dataclass(frozen=True)
class Batch:
    """How many requests run() gets at once at most, and the milliseconds for which the first of them waits for others."""

    most: int
    wait_ms: int


@dataclass(frozen=True)
class Process:
    """Sockets and workers.

    Attributes:
        host: The address to listen on.
        port: The first port.
        health_port: A second port, or None.
        workers: How many worker processes.
        worker_timeout: The seconds after which a worker that hangs is replaced; 0 never.
        client_timeout: The seconds a client may be silent within its request; 0 for ever.
        preload: init() is called once, before the workers are forked.
        metrics: Requests are counted.
        threads: In how many threads of each worker run() is called.
        max_requests: The requests after which a worker is replaced; 0 for none.
        batch: How requests are answered together; None: each by itself.
    """

    host: str
    port: int
    health_port: int | None
    workers: int
    worker_timeout: int
    client_timeout: int
    preload: bool
    metrics: bool = False
    threads: int = 1
    max_requests: int = 0
    batch: Batch | None = None


@dataclass(frozen=True)
class Settings:
    """All settings, checked."""

    app_root: str
    source_dir: str
    entry_script: str
    model_dir: str
    scoring_timeout_ms: int
    log_level: str
    log_format: str
    cors_origins: tuple[str, ...]
    version_header: str
    debug_port: int | None
    telemetry_wanted: bool
    unknown_keys: tuple[str, ...]
    service: Service
    model: ModelName
    departures: Departures
    description: Described | None
    process: Process
    variables: Mapping[str, str] = field(repr=False)
    """The environment, over the config file: what platforms look at for variables of their own."""


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Returns the settings of this environment and of its config file.

    Raises:
        SettingsError: One of them is wrong.
    """
    from_file, unknown = _read_config_file(find_config_file(environ))
    values = {**from_file, **environ}
    return Settings(
        app_root=environ.get("AML_APP_ROOT", "") or os.getcwd(),
        source_dir=values.get("AZUREML_SOURCE_DIRECTORY", ""),
        entry_script=values.get("AZUREML_ENTRY_SCRIPT", ""),
        model_dir=values.get("AZUREML_MODEL_DIR", ""),
        scoring_timeout_ms=whole_number(values, "SCORING_TIMEOUT_MS", 3_600_000, low=0),
        log_level=_log_level(values),
        log_format=_log_format(environ),
        cors_origins=tuple(o.strip() for o in values.get("AML_CORS_ORIGINS", "").split(",") if o.strip()),
        version_header=_version_header(environ),
        debug_port=whole_number(values, "AZUREML_DEBUG_PORT", 0, low=0, high=65535) or None,
        telemetry_wanted=any(
            environ.get(name, "").lower() == "true"
            for name in ("AML_APP_INSIGHTS_ENABLED", "AML_MODEL_DC_STORAGE_ENABLED")
        ),
        unknown_keys=unknown,
        service=Service(
            name=values.get("SERVICE_NAME", "ML service"),
            version=values.get("SERVICE_VERSION", "1.0"),
            path_prefix=values.get("SERVICE_PATH_PREFIX", ""),
        ),
        model=ModelName(
            environ.get("MODELCRATE_MODEL_NAME", "") or "model", environ.get("MODELCRATE_MODEL_VERSION", "") or "1"
        ),
        departures=_departures(values),
        description=_description(environ),
        process=_process(environ),
        variables=values,
    )


def find_config_file(environ: Mapping[str, str]) -> str | None:
    """Returns AZUREML_CONFIG_FILE, else config.json in the app root, else one beside the entry script; empty files don't count."""
    candidates = [environ.get("AZUREML_CONFIG_FILE", "")]
    candidates.append(os.path.join(environ.get("AML_APP_ROOT", "") or os.getcwd(), "config.json"))
    if "AZUREML_ENTRY_SCRIPT" in environ:
        beside = os.path.dirname(os.path.abspath(environ["AZUREML_ENTRY_SCRIPT"]))
        candidates.append(os.path.join(beside, "config.json"))
    return next((path for path in candidates if path and os.path.isfile(path) and os.path.getsize(path)), None)


def _read_config_file(path: str | None) -> tuple[dict[str, str], tuple[str, ...]]:
    if path is None:
        return {}, ()
    try:
        with open(path, encoding="utf-8") as file:
            document: Any = json.load(file)
    except (OSError, ValueError) as error:
        raise SettingsError(f"the config file {path} can't be read as JSON: {error}") from error
    if not isinstance(document, dict):
        raise SettingsError(f"the config file {path} is not a JSON object")
    known = {key: _text(value) for key, value in document.items() if key in FILE_KEYS and value is not None}
    return known, tuple(sorted(key for key in document if key not in FILE_KEYS))


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _log_level(values: Mapping[str, str]) -> str:
    level = values.get("AZUREML_LOG_LEVEL", "").strip().upper() or "INFO"
    if level not in {"DEBUG", "INFO", "WARN", "WARNING", "ERROR", "CRITICAL", "FATAL", "NOTSET"}:
        raise SettingsError(f"AZUREML_LOG_LEVEL is {level!r}, which is no level of Python's logging")
    return level


def _log_format(environ: Mapping[str, str]) -> str:
    form = environ.get("MODELCRATE_LOG_FORMAT", "").strip().lower() or "text"
    if form not in {"text", "json"}:
        raise SettingsError(f"MODELCRATE_LOG_FORMAT is {form!r}; it can be text or json")
    return form


def _version_header(environ: Mapping[str, str]) -> str:
    if environ.get("SERVER_VERSION_LOG_RESPONSE_ENABLED", "true").lower() == "true":
        return f"modelcrate/{VERSION}"
    return environ.get("HTTP_X_MS_SERVER_VERSION", "")


def _departures(values: Mapping[str, str]) -> Departures:
    return Departures(
        encode_numpy=switch(values, "MODELCRATE_ENCODE_NUMPY"),
        bad_input_is_400=switch(values, "MODELCRATE_BAD_INPUT_IS_400"),
        probes=switch(values, "MODELCRATE_PROBES"),
        max_body_bytes=whole_number(values, "MODELCRATE_MAX_BODY_BYTES", 0, low=0) or None,
    )


def _description(environ: Mapping[str, str]) -> Described | None:
    text = environ.get("MODELCRATE_SCHEMA", "").strip()
    try:
        return read_description(text, "MODELCRATE_SCHEMA") if text else None
    except ValueError as fault:
        raise SettingsError(str(fault)) from None


def _process(environ: Mapping[str, str]) -> Process:
    # the original's command line sets both ports anew, whatever the environment says; so does ours (see `arguments`)
    separate = environ.get("SEPERATE_HEALTH_ENDPOINT") == "true"
    port = whole_number(environ, "SERVER_PORT", DEFAULT_PORT, low=1, high=65535)
    health = whole_number(environ, "HEALTH_PORT", DEFAULT_HEALTH_PORT, low=1, high=65535) if separate else port
    return Process(
        host=environ.get("MODELCRATE_HOST", "") or DEFAULT_HOST,
        port=port,
        health_port=None if health == port else health,
        workers=whole_number(environ, "WORKER_COUNT", 1, low=1),
        worker_timeout=whole_number(environ, "WORKER_TIMEOUT", 300, low=0),
        client_timeout=whole_number(environ, "MODELCRATE_CLIENT_TIMEOUT", 30, low=0),
        preload=environ.get("WORKER_PRELOAD", "").lower() == "true",
        metrics=switch(environ, "MODELCRATE_METRICS"),
        threads=whole_number(environ, "MODELCRATE_THREADS", 1, low=1, high=1000),
        max_requests=whole_number(environ, "MODELCRATE_MAX_REQUESTS", 0, low=0),
        batch=_batch(environ),
    )


def _batch(environ: Mapping[str, str]) -> Batch | None:
    most = whole_number(environ, "MODELCRATE_BATCH_MAX", 0, low=0, high=10_000)
    wait = whole_number(environ, "MODELCRATE_BATCH_WAIT_MS", 5, low=0, high=60_000)
    if most and environ.get("MODELCRATE_THREADS", "").strip() not in ("", "1"):
        raise SettingsError(
            "MODELCRATE_BATCH_MAX and MODELCRATE_THREADS exclude each other: a batch is one call of run()"
        )
    return Batch(most, wait) if most else None
