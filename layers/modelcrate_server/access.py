"""The line in the log for a request that was answered."""

from __future__ import annotations

import logging

from .deadline import Stopwatch
from .request import AMLRequest
from .response import Response

_log = logging.getLogger("azmlinfsrv")


def log_access(request: AMLRequest, response: Response, watch: Stopwatch) -> None:
    query = request.query_string.decode("utf-8", "replace")
    path = f"{request.path}?{query}" if query else request.path
    length = "N/A" if response.is_streamed else response.length
    _log.info("%s %s %s %.3fms %s", request.method, path, response.status_code, watch.elapsed_ms, length)
