"""The line in the log for a request that was answered."""

from __future__ import annotations

import logging

from .deadline import Stopwatch
from .logs import write_plain
from .request import AMLRequest
from .response import Response

_log = logging.getLogger("azmlinfsrv")
_LINE = "%s %s %s %.3fms %s"


def log_access(request: AMLRequest, response: Response, watch: Stopwatch, trace_id: str = "") -> None:
    """Logs the contract's line; a log in JSON has its parts by name as well, the request's id, and that of its trace where there is one."""
    query = request.query_string.decode("utf-8", "replace")
    path = f"{request.path}?{query}" if query else request.path
    length = "N/A" if response.is_streamed else response.length
    elapsed = watch.elapsed_ms

    if not _log.isEnabledFor(logging.INFO):
        return

    def fields() -> dict[str, object]:
        return {
            "method": request.method,
            "path": path,
            "status": response.status_code,
            "milliseconds": round(elapsed, 3),
            "bytes": response.length,
            "request_id": request.headers.get("x-request-id", ""),
            **({"trace_id": trace_id} if trace_id else {}),
        }

    values = (request.method, path, response.status_code, elapsed, length)
    if not write_plain(
        _log, logging.INFO, _LINE % values
    ):  # `info` would first search for the line of code that calls it
        record = _log.makeRecord(_log.name, logging.INFO, __file__, 0, _LINE, values, None, "log_access")
        record.fields = fields
        _log.handle(record)
