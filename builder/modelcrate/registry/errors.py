"""Refusals of registries as errors that name the likely cause. Nothing here waits or sends."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from types import MappingProxyType

from modelcrate.net.errors import GONE, PASSING, ConnectionFailed, ErrorResponse, NotFound
from modelcrate.net.messages import Request, Response
from modelcrate.net.urls import host_and_port
from modelcrate.registry.wire import RegistryRequest
from modelcrate_layers.content import parse_json
from modelcrate_layers.errors import CrateError
from modelcrate_layers.patterns import compile_later

__all__ = ["PASSING", "ConnectionFailed", "ErrorResponse", "NotFound", "error_response", "error_text"]

MAX_ERROR_BODY = 64 << 10

MAX_SKEW = 60
"""Seconds by which clocks may differ before they are named as the likely cause of a refused token."""

_NAMES: Mapping[int, str] = MappingProxyType(
    {
        400: "bad request", 401: "not logged in", 403: "not allowed", 404: "not found", 405: "not supported",
        409: "conflict", 413: "body too large", 416: "wrong range", 429: "too many requests", 501: "not supported",
    }
)  # fmt: skip


def error_text(answer: Response) -> list[tuple[str, str]]:
    """Returns code and message of each error in the body; nothing where the body is not the specification's JSON."""
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


def error_response(
    request: Request, answer: Response, doing: str, now: float | None = None, note: str = ""
) -> ErrorResponse:
    """Returns the error for a response that is not the wanted one.

    Args:
        request: What was sent.
        answer: What came.
        doing: The act in words, for instance "upload of sha256:...".
        now: Our clock, in seconds since 1970.
        note: What went wrong before with the credentials for this registry.
    """
    host = host_and_port(request.url)
    if answer.is_web_page and answer.status < 400:
        return _web_page(request, answer, doing, host)
    errors = error_text(answer)
    text = "; ".join(f"{code}: {message}" if message else code for code, message in errors)
    kind = "a web page (HTML)" if answer.is_web_page else answer.media_type or "of no type"
    why = text or (f"the answer is {kind}, not a registry's" if answer.body else "")
    status = f"{answer.status} {_NAMES.get(answer.status, '')}".strip()
    hint = "\n".join(filter(None, (_hint(request, answer, now), note if answer.status in (401, 403) else "")))
    error = NotFound if answer.status in GONE else ErrorResponse
    return error(
        request, answer, f"{host} refused the {doing}: {status}", why=why, hint=hint, codes={code for code, _ in errors}
    )


def _web_page(request: Request, answer: Response, doing: str, host: str) -> ErrorResponse:
    """A sign-in page of a proxy, a portal of a network, or an address that is a website's."""
    return ErrorResponse(
        request,
        answer,
        f"{host} answered the {doing} with a web page (HTML), as no registry does: {answer.status}",
        why="it may be a website, a sign-in page in front of the registry, or the portal of a network",
        hint="check the registry's address, and whether a proxy or a network wants a login first",
    )


_QUOTA = compile_later(r"(?i)quota|storage limit|upper limit of|insufficient storage")
"""What registries write where a project's room is used up; Harbor and others answer 403, as for a right that lacks."""


def _size_hint(request: Request, host: str) -> str:
    if "/manifests/" in request.url:  # it is sent as a whole, whatever the chunks of layers are
        return "the registry, or a proxy in front of it, limits the size of manifests: that limit is raised there"
    return (
        "a proxy in front of the registry limits the size of request bodies; set `upload: chunks` and a smaller\n"
        f"`chunk-size`, for instance 50MB, for {host} in registries.yaml"
    )


def _hint(request: Request, answer: Response, now: float | None) -> str:
    codes = {code for code, _ in error_text(answer)}
    host = host_and_port(request.url)
    if answer.status in (401, 403) or codes & {"DENIED", "UNAUTHORIZED"}:
        return _access_hint(request, answer, host, now)
    if answer.status == 413:
        return _size_hint(request, host)
    if "NAME_UNKNOWN" in codes or (answer.status == 404 and request.method == "POST"):
        if ".dkr.ecr." in host:
            return "the repository does not exist; ECR does not create one on push: `aws ecr create-repository` first"
        return "the repository does not exist, or these credentials can't see it"
    if answer.status == 404 and request.method in ("GET", "HEAD") and "/manifests/" in request.url:
        return "the repository or the tag does not exist, or these credentials can't see it"
    if answer.status in (405, 501) and request.method in ("POST", "PUT", "PATCH"):
        return "the registry takes nothing: it may be read-only, a mirror or a cache of another one"
    if "NAME_INVALID" in codes:
        return "the registry has rules of its own for the names of repositories; choose another name or prefix"
    if "TOOMANYREQUESTS" in codes or answer.status == 429:
        return "the registry limits the rate of requests; log in, or try again later"
    return ""


def _access_hint(request: Request, answer: Response, host: str, now: float | None) -> str:
    challenge = " ".join(answer.headers.all("WWW-Authenticate"))
    access = request.access if isinstance(request, RegistryRequest) else ()
    wanted = " ".join(map(str, access))
    if any(_QUOTA.search(message) for _, message in error_text(answer)):
        return "the registry has no more room for this project: remove old images there, or ask for more"
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
    except (TypeError, ValueError, OverflowError):
        return 0
    return 0 if now is None else abs(int(theirs - now))
