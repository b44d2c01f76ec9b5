"""OpenTelemetry's spans, one a request to the script: https://opentelemetry.io/docs/specs/otel.

On where the standard's own variables name a collector (OTEL_EXPORTER_OTLP_ENDPOINT). Nothing has to be installed for it.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .request import AMLRequest
from .variables import SettingsError, whole_number

if TYPE_CHECKING:
    from .trace_export import Exporter

_log = logging.getLogger("azmlinfsrv")

PROTOCOLS = ("http/protobuf", "http/json")
SAMPLERS = (
    *("always_on", "always_off", "traceidratio"),
    *("parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"),
)
_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
"""The field `traceparent` (https://www.w3.org/TR/trace-context)."""
_SPACE = 1 << 56


@dataclass(frozen=True)
class Tracing:
    """Where spans go, and which.

    Attributes:
        endpoint: The URL.
        headers: Header fields for the collector.
        protocol: One of `PROTOCOLS`.
        timeout: Seconds a request to the collector may take.
        delay: Seconds after which spans are sent together.
        queue: Spans that may wait; more are dropped.
        together: Spans of one request to the collector.
        sampler: One of `SAMPLERS`.
        ratio: The part of all traces that is kept, where the sampler is by ratio.
        resource: What describes this service.
    """

    endpoint: str
    headers: Mapping[str, str]
    protocol: str
    timeout: float
    delay: float
    queue: int
    together: int
    sampler: str
    ratio: float
    resource: Mapping[str, str]


class Span:
    """A request of which a collector is told when it has been answered."""

    def __init__(self, tracer: Tracer, request: AMLRequest, route: str, trace_id: str, parent: str) -> None:
        self.trace_id, self.parent = trace_id, parent
        self.span_id = os.urandom(8).hex()
        self.started, self.ended, self.status = time.time_ns(), 0, 0
        self.method, self.route, self.path, self.scheme = request.method, route, request.path, request.scheme
        self.request_id = request.headers.get("x-request-id", "")
        self._tracer = tracer

    def end(self, status: int) -> None:
        """Ends the span with the status of the answer."""
        self.status, self.ended = status, time.time_ns()
        self._tracer.export(self)


class Tracer:
    """Makes spans, and gives them to a thread that sends them.

    Args:
        settings: Where spans go, and which.
    """

    def __init__(self, settings: Tracing) -> None:
        self.settings = settings
        self._exporter: Exporter | None = None

    def begin(self, request: AMLRequest, route: str) -> Span | None:
        """Returns a span for a request, within the client's trace if it has one; None if it is not wanted."""
        parent = _PARENT.fullmatch(request.headers.get("traceparent", ""))
        if parent is not None and (not int(parent[1], 16) or not int(parent[2], 16)):
            parent = None
        trace_id = parent[1] if parent is not None else os.urandom(16).hex()
        sampled = None if parent is None else bool(int(parent[3], 16) & 1)
        if not self._keeps(trace_id, sampled):
            return None
        return Span(self, request, route, trace_id, parent[2] if parent is not None else "")

    def export(self, span: Span) -> None:
        """Lets a span be sent. The first one of a process starts the thread, for it must not be there when workers are forked."""
        if self._exporter is None:
            from .trace_export import Exporter  # late: most servers send no spans

            self._exporter = Exporter(self.settings)
        self._exporter.add(span)

    def close(self) -> None:
        """Sends what has not been sent yet."""
        if self._exporter is not None:
            self._exporter.close()

    def _keeps(self, trace_id: str, sampled: bool | None) -> bool:
        sampler = self.settings.sampler
        if sampled is not None and sampler.startswith("parentbased_"):
            return sampled
        if sampler.endswith("traceidratio"):
            return int(trace_id[18:], 16) < self.settings.ratio * _SPACE  # the last 56 bits are random
        return sampler.endswith("always_on")


def tracer(environ: Mapping[str, str]) -> Tracer | None:
    """Returns the tracer for these variables; None where they name no collector, or switch it off.

    Raises:
        SettingsError: A variable is wrong.
    """
    settings = read_tracing(environ)
    return None if settings is None else Tracer(settings)


def read_tracing(environ: Mapping[str, str]) -> Tracing | None:
    """Returns what the variables of OpenTelemetry say; None where spans are not wanted.

    Raises:
        SettingsError: A variable is wrong.
    """

    def own(name: str, default: str = "") -> str:
        general, special = f"OTEL_EXPORTER_OTLP_{name}", f"OTEL_EXPORTER_OTLP_TRACES_{name}"
        return environ.get(special, "").strip() or environ.get(general, "").strip() or default

    wanted = environ.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    if not own("ENDPOINT") or wanted == "none" or environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    if wanted != "otlp":
        raise SettingsError(f"OTEL_TRACES_EXPORTER is {wanted!r}; it can be otlp or none")
    endpoint = environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "").strip()
    endpoint = endpoint or own("ENDPOINT").rstrip("/") + "/v1/traces"
    if not re.fullmatch(r"https?://[^\s/?#@]+([/?#]\S*)?", endpoint):
        raise SettingsError(
            f"OTEL_EXPORTER_OTLP_ENDPOINT is {endpoint!r}, which is no http or https URL without a login"
        )
    protocol = own("PROTOCOL", PROTOCOLS[0])
    if protocol not in PROTOCOLS:
        raise SettingsError(f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}; it can be {' or '.join(PROTOCOLS)}")
    sampler = environ.get("OTEL_TRACES_SAMPLER", "").strip() or "parentbased_always_on"
    if sampler not in SAMPLERS:
        raise SettingsError(f"OTEL_TRACES_SAMPLER is {sampler!r}; it can be one of {', '.join(SAMPLERS)}")
    return Tracing(
        endpoint=endpoint,
        headers=_pairs(own("HEADERS")),
        protocol=protocol,
        timeout=whole_number(
            {"OTEL_EXPORTER_OTLP_TIMEOUT": own("TIMEOUT")}, "OTEL_EXPORTER_OTLP_TIMEOUT", 10_000, low=1
        )
        / 1000,
        delay=whole_number(environ, "OTEL_BSP_SCHEDULE_DELAY", 5000, low=1) / 1000,
        queue=whole_number(environ, "OTEL_BSP_MAX_QUEUE_SIZE", 2048, low=1),
        together=whole_number(environ, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512, low=1),
        sampler=sampler,
        ratio=_ratio(environ.get("OTEL_TRACES_SAMPLER_ARG", "").strip() or "1"),
        resource=_resource(environ),
    )


def _ratio(text: str) -> float:
    try:
        ratio = float(text)
    except ValueError:
        ratio = -1
    if not 0 <= ratio <= 1:
        raise SettingsError(f"OTEL_TRACES_SAMPLER_ARG is {text!r}, which is no number from 0 to 1")
    return ratio


def _resource(environ: Mapping[str, str]) -> dict[str, str]:
    model = environ.get("MODELCRATE_MODEL_NAME", "")
    name = environ.get("OTEL_SERVICE_NAME", "") or environ.get("SERVICE_NAME", "") or model or "modelcrate"
    found = {"service.name": name, **_pairs(environ.get("OTEL_RESOURCE_ATTRIBUTES", ""))}
    if environ.get("OTEL_SERVICE_NAME"):
        found["service.name"] = environ["OTEL_SERVICE_NAME"]
    if model:
        found.update(
            {"modelcrate.model.name": model, "modelcrate.model.version": environ.get("MODELCRATE_MODEL_VERSION", "1")}
        )
    return found


def _pairs(text: str) -> dict[str, str]:
    """Returns the pairs of a list such as a=1,b=2, whose values are percent-encoded."""
    from urllib.parse import unquote

    split = (each.partition("=") for each in text.split(",") if "=" in each)
    return {name.strip(): unquote(value.strip()) for name, _, value in split if name.strip()}
