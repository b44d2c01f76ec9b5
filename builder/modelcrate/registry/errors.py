"""Answers that mean no, and connections that went away, as errors that name the likely cause.

What may be repeated is decided here, once, by status; nothing in this module waits or sends.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from types import MappingProxyType

from modelcrate.net.errors import GONE, PASSING, ConnectionFailed, ErrorResponse, NotFound
from modelcrate.net.messages import Request, Response
from modelcrate.registry.wire import RegistryRequest
from modelcrate_layers.content import parse_json
from modelcrate_layers.errors import CrateError

__all__ = ["PASSING", "ConnectionFailed", "ErrorResponse", "NotFound", "error_response", "error_text"]

MAX_ERROR_BODY = 64 << 10

MAX_SKEW = 60
"""Seconds by which clocks may differ before they are named as the likely cause of a refused token."""


def error_text(answer: Response) -> list[tuple[str, str]]:
    """Code and message of each error in the body; empty where the body is not the specification's JSON."""
    try:
        document = parse_json(answer.body[:MAX_ERROR_BODY])
    except CrateError:
        return []
    errors = document.get("errors") if isinstance(document, dict) else None
    return [
        (str(one.get("code", ""))[:80], str(one.get("message", ""))[:300])
        for one in (errors if isinstance(errors, list) else [])[:10]
        if isinstance(one, dict)
    ]


def error_response(request: Request, answer: Response, doing: str, now: float | None = None) -> ErrorResponse:
    """The error for an unwelcome answer. `doing` names the act, for instance 'upload of sha256:...'; `now` our
    clock."""
    said = "; ".join(f"{code}: {message}" if message else code for code, message in error_text(answer))
    host = request.url.split("/")[2].rpartition("@")[2]
    why = said or (f"the answer is {answer.media_type or 'of no type'}, not a registry's" if answer.body else "")
    what = (
        f"{host} refused the {doing}: {answer.status}{f' {_NAMES[answer.status]}' if answer.status in _NAMES else ''}"
    )
    error = NotFound if answer.status in GONE else ErrorResponse
    codes = {code for code, _ in error_text(answer)}
    return error(request, answer, what, why=why, hint=_hint(request, answer, now), codes=codes)


_NAMES: Mapping[int, str] = MappingProxyType(
    {
        400: "bad request", 401: "not logged in", 403: "not allowed", 404: "not found", 405: "not supported",
        409: "conflict", 413: "body too large", 416: "wrong range", 429: "too many requests", 501: "not supported",
    }
)  # fmt: skip


def _hint(request: Request, answer: Response, now: float | None) -> str:
    codes = {code for code, _ in error_text(answer)}
    host = request.url.split("/")[2].rpartition("@")[2]
    if answer.status in (401, 403) or codes & {"DENIED", "UNAUTHORIZED"}:
        return _access_hint(request, answer, host, now)
    if answer.status == 413:
        return (
            "a proxy in front of the registry limits the size of request bodies; set `upload: chunks` and a smaller\n"
            f"`chunk-size`, for instance 50MB, for {host} in registries.yaml"
        )
    if "NAME_UNKNOWN" in codes or (answer.status == 404 and request.method == "POST"):
        if ".dkr.ecr." in host:
            return "the repository does not exist; ECR does not create one on push: `aws ecr create-repository` first"
        return "the repository does not exist, or these credentials can't see it"
    if "TOOMANYREQUESTS" in codes or answer.status == 429:
        return "the registry limits the rate of requests; log in, or try again later"
    return ""


def _access_hint(request: Request, answer: Response, host: str, now: float | None) -> str:
    challenge = " ".join(answer.headers.all("WWW-Authenticate"))
    access = request.access if isinstance(request, RegistryRequest) else ()
    wanted = " ".join(map(str, access))
    skew = _skew(answer, now)
    if skew > MAX_SKEW and access:
        return f"this machine's clock and the registry's differ by {skew} seconds, so tokens look expired"
    if "insufficient_scope" in challenge or answer.status == 403:
        return f"the credentials lack the scope {wanted}" if wanted else "the credentials lack the right for this"
    return (
        f"log in first: modelcrate login {host}; what docker, podman and skopeo keep is found as well, and so are\n"
        "MODELCRATE_REGISTRY_USERNAME and MODELCRATE_REGISTRY_PASSWORD"
    )


def _skew(answer: Response, now: float | None) -> int:
    """Seconds between the registry's clock (its Date) and ours; 0 where one of them is unknown."""
    try:
        theirs = parsedate_to_datetime(answer.headers.get("Date")).timestamp()
    except (TypeError, ValueError):
        return 0
    return 0 if now is None else abs(int(theirs - now))
