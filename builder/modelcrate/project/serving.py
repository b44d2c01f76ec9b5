"""How the server in an image works: the settings of the project file, and the variables that carry them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from modelcrate_layers.frozen import dataclass

LogFormat = Literal["text", "json"]

_WORKER_TIMEOUT = 300
"""Seconds after which the server replaces a worker that hangs, by its own default."""
_GRACE = 30
"""Seconds by which that has to be longer than what one request may take."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Requests that are answered together, by one call of run() with a list.

    Attributes:
        most: How many at once, at most.
        wait: The milliseconds for which the first of them waits for others.
    """

    most: int
    wait: int = 5


@dataclass(frozen=True, slots=True)
class Serving:
    """The settings of the server. `None` and `False` leave its defaults.

    Attributes:
        workers: Processes, each with the model in memory.
        threads: Threads of each worker in which run() is called.
        timeout: The milliseconds that one run() may take.
        max_requests: The requests after which a worker is replaced by a new one.
        preload: init() is called once, before the workers are forked.
        batch: How requests are answered together.
        validate: Input that does not fit the schema is refused with 400 and the reason.
        metrics: Requests are counted, and GET /metrics tells the counts.
        log_format: The form of the log.
        description: What the script takes and gives, as JSON; empty where the project does not say it.
    """

    workers: int | None = None
    threads: int | None = None
    timeout: int | None = None
    max_requests: int | None = None
    preload: bool = False
    batch: Batch | None = None
    validate: bool = False
    metrics: bool = False
    log_format: LogFormat = "text"
    description: str = ""


def serving_variables(serving: Serving) -> Mapping[str, str]:
    """Returns the variables of the image that carry these settings; none for what is left to the server."""
    return dict(_variables(serving))


def _variables(serving: Serving) -> Iterator[tuple[str, str]]:
    numbers = {
        "WORKER_COUNT": serving.workers,
        "MODELCRATE_THREADS": serving.threads,
        "SCORING_TIMEOUT_MS": serving.timeout,
        "MODELCRATE_MAX_REQUESTS": serving.max_requests,
        "MODELCRATE_BATCH_MAX": serving.batch and serving.batch.most,
        "MODELCRATE_BATCH_WAIT_MS": serving.batch and serving.batch.wait,
    }
    yield from ((name, str(number)) for name, number in numbers.items() if number is not None)
    seconds = -(-(serving.timeout or 0) // 1000) + _GRACE
    if seconds > _WORKER_TIMEOUT:
        yield "WORKER_TIMEOUT", str(seconds)
    switches = {
        "WORKER_PRELOAD": serving.preload,
        "MODELCRATE_BAD_INPUT_IS_400": serving.validate,
        "MODELCRATE_METRICS": serving.metrics,
    }
    yield from ((name, "true") for name, on in switches.items() if on)
    if serving.log_format != "text":
        yield "MODELCRATE_LOG_FORMAT", serving.log_format
    if serving.description:
        yield "MODELCRATE_SCHEMA", serving.description
