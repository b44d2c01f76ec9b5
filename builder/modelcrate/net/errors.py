"""Errors of an HTTP exchange, and which of them may pass if the request is sent again."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from modelcrate.net.messages import Request, Response
from modelcrate.net.urls import host_and_port, redacted
from modelcrate_layers.errors import CrateError, RegistryError

PASSING = frozenset({408, 429, 499, 500, 502, 503, 504, 522})
"""Statuses that may pass: timeouts, overload, and gateways that lost their server."""

GONE = frozenset({404, 410})


class ErrorResponse(RegistryError):  # noqa: N818  (errors are named after what happened)
    """The server answered with a status of refusal or failure.

    `status` is the HTTP status, `codes` are the error codes of the distribution specification, `after` is Retry-After.
    """

    def __init__(
        self,
        request: Request,
        answer: Response,
        what: str,
        *,
        where: str = "",
        why: str = "",
        hint: str = "",
        codes: Collection[str] = (),
        also: Sequence[CrateError] = (),
    ) -> None:
        where = where or f"{request.method} {redacted(request.url)}"
        super().__init__(what, where=where, why=why, hint=hint, also=also)
        self.status = answer.status
        self.codes = frozenset(codes)
        self.retry = answer.status in PASSING
        self.after = answer.headers.get("Retry-After")


class NotFound(ErrorResponse):
    """The server answered that it does not have this (404 or 410)."""


class ConnectionFailed(RegistryError):  # noqa: N818  (errors are named after what happened)
    """The connection failed, broke or stalled before the response was complete.

    `retry`: another attempt may help. `silent`: a time limit has passed, as it may with each further attempt.
    """

    def __init__(self, request: Request, why: str, *, retry: bool = True, silent: bool = False, hint: str = "") -> None:
        super().__init__(
            f"no answer from {host_and_port(request.url) or 'the server'}", where=request.where(), why=why, hint=hint
        )
        self.retry, self.silent = retry, silent
        self.after = ""


def may_pass(fault: BaseException) -> bool:
    """Returns whether another attempt may help."""
    return isinstance(fault, ErrorResponse | ConnectionFailed) and fault.retry
