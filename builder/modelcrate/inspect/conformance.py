"""Checks whether a running container implements the protocols of its platforms: sends each contract's requests and compares the responses.

The requests are defined by the platform's module (`modelcrate_server.platforms`). The container may be made with any tool.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from modelcrate.net.urls import split_login
from modelcrate_layers.errors import RegistryError, UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_server.platforms import Check, Platform, platforms

MAX_RESPONSE = 16 << 20
"""Bytes of a response that are read; a longer response belongs to none of these protocols."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The response to a request.

    Attributes:
        status: Its status.
        body: Its body.
        seconds: How long it took.
        fault: The reason if there was none.
        log: The end of what the server's container logged meanwhile, where that is known.
    """

    status: int
    body: bytes
    seconds: float
    fault: str = ""
    log: str = ""


@dataclass(frozen=True, slots=True)
class ContractVerdict:
    """The result of one request. `ok` is None for a request that was not sent; then `came` has the reason."""

    contract: str
    what: str
    route: str
    expected: str
    came: str
    ok: bool | None


@dataclass(frozen=True, slots=True)
class Target:
    """A server to check.

    Attributes:
        url: Its address.
        model: The name of its model; by default the first that it lists.
        instances: Rows to predict. Without them, requests that predict are not sent.
        timeout: Seconds to wait for each response.
    """

    url: str
    model: str = ""
    instances: list[Any] | None = None
    timeout: float = 60.0


def check_contracts(target: Target, names: Sequence[str] = ()) -> tuple[ContractVerdict, ...]:
    """Checks the server.

    Args:
        target: The server.
        names: The contracts; by default all whose health route responds with 200.

    Returns:
        One verdict for each request.

    Raises:
        UserError: The URL is malformed, or a contract is unknown.
        RegistryError: The server does not respond, or no contract was recognised.
    """
    known = platforms()
    for name in names:
        if name not in known:
            raise UserError(f"unknown contract {name!r}", hint=f"known contracts: {', '.join(known)}")
    first = send_request(target, "GET", "/")
    if first.fault:
        raise RegistryError("no server answers", where=target.url, why=first.fault)
    chosen = [known[name] for name in names] or _recognised(target, known.values())
    if not chosen:
        raise RegistryError(
            "no contract is recognised",
            where=target.url,
            why=_health_answers(target, known.values()),
            hint=f"name one with --contract: {', '.join(known)}",
        )
    return tuple(verdict for each in chosen for verdict in _verdicts(target, each))


def _recognised(target: Target, known: Iterable[Platform]) -> list[Platform]:
    """Returns the contracts whose health route answers with 200. One with gRPC has the routes of another, and has to be named."""
    return [each for each in known if each.grpc_port is None and is_healthy(target, each)]


def _health_answers(target: Target, known: Iterable[Platform]) -> str:
    """Says how health routes answer: a contract that is not served is 404 there, and one that is broken something else."""
    asked = {each.health: send_request(target, "GET", each.health) for each in known}
    broken = [f"{path} with {answer.status or answer.fault}" for path, answer in asked.items() if answer.status != 404]
    missing = "none of the health routes answers with 200"
    return f"{missing}: {', '.join(broken)}; so there is a contract, and it is not healthy" if broken else missing


def is_healthy(target: Target, platform: Platform) -> bool:
    """Returns whether a contract's health route answers with 200."""
    return send_request(target, "GET", platform.health).status == 200


def _verdicts(target: Target, platform: Platform) -> Iterator[ContractVerdict]:
    model = target.model or listed_model(target, platform)
    for each in platform.checks:
        route = f"{each.method} {each.path.replace('{model}', quote(model, safe='') or '{model}')}"
        missing = _missing(each, model, target.instances)
        if missing:
            yield ContractVerdict(platform.name, each.what, route, _expected(each), f"not sent: {missing}", None)
            continue
        answer = send_request(
            target, each.method, route.partition(" ")[2], _body(each, target.instances), each.content_type
        )
        wrong = _wrong(each, answer)
        came = answer.fault or f"{answer.status}{f', {wrong}' if wrong else ''}"
        yield ContractVerdict(platform.name, each.what, route, _expected(each), came, not wrong)
    if platform.grpc_port is not None:
        why = f"not sent: this check speaks HTTP; port {platform.grpc_port} is for clients of gRPC"
        yield ContractVerdict(platform.name, "it answers over gRPC", "gRPC", "the service", why, None)


def _missing(check: Check, model: str, instances: list[Any] | None) -> str:
    """Returns what is missing to send the request, or an empty text."""
    if "{model}" in check.path and not model:
        return "say which model with --model"
    return "give rows with --instances" if callable(check.body) and instances is None else ""


def _body(check: Check, instances: list[Any] | None) -> bytes | None:
    return check.body(instances or []) if callable(check.body) else check.body


def _expected(check: Check) -> str:
    status = " or ".join(map(str, check.status))
    members = f" with {', '.join(check.members)}" if check.members else ""
    return f"{status}{members}{f' in {check.seconds:g} s' if check.seconds < 60 else ''}"


def _wrong(check: Check, answer: Reply) -> str:
    """Returns what differs from the expected response, or an empty text."""
    if answer.fault:
        return answer.fault
    if answer.status not in check.status:
        return "another status"
    if answer.seconds > check.seconds:
        return f"after {answer.seconds:.1f} s"
    if not check.members:
        return ""
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return "and it is not JSON"
    if not isinstance(document, dict):
        return "and it is not a JSON object"
    lacking = [name for name in check.members if name not in document]
    return f"without {', '.join(lacking)}" if lacking else ""


def listed_model(target: Target, platform: Platform) -> str:
    """Returns the first model that the server lists, in KServe's form or as a repository index; empty if it lists none."""
    if not platform.lists_models:
        return ""
    posted = platform.lists_models.endswith("/index")
    answer = send_request(target, "POST" if posted else "GET", platform.lists_models, b"{}" if posted else None)
    try:
        document = json.loads(answer.body) if answer.status == 200 else []
    except (ValueError, RecursionError):
        return ""
    models = document.get("models") if isinstance(document, dict) else document
    first = models[0] if isinstance(models, list) and models else ""
    name = first.get("name") if isinstance(first, dict) else first
    return name if isinstance(name, str) else ""


def send_request(
    target: Target, method: str, path: str, body: bytes | None = None, content_type: str = "application/json"
) -> Reply:
    """Sends one request on a new connection. A failure of the connection is part of the reply.

    Raises:
        UserError: The URL of the target is malformed.
    """
    scheme, host, port, prefix = split_server_url(target.url)
    started = time.monotonic()
    connection = (
        http.client.HTTPSConnection(host, port, timeout=target.timeout, context=ssl.create_default_context())
        if scheme == "https"
        else http.client.HTTPConnection(host, port, timeout=target.timeout)
    )
    try:
        connection.request(
            method, prefix.rstrip("/") + path, body, {} if body is None else {"Content-Type": content_type}
        )
        answer = connection.getresponse()
        data = answer.read(MAX_RESPONSE)
    except http.client.BadStatusLine as fault:
        why = str(fault) if isinstance(fault, OSError) else f"what came is no HTTP: {str(fault)[:200]!r}"
        return Reply(0, b"", time.monotonic() - started, why)
    except (OSError, http.client.HTTPException) as fault:
        return Reply(0, b"", time.monotonic() - started, str(fault) or type(fault).__name__)
    finally:
        connection.close()
    return Reply(answer.status, data, time.monotonic() - started)


def split_server_url(url: str) -> tuple[str, str, int | None, str]:
    """Splits the URL of a server into scheme, host, port and path.

    Raises:
        UserError: It is malformed, or has what no request of ours would send: a login, a query, a fragment.
    """
    url = url if "://" in url else f"http://{url}"
    shown = repr(split_login(url)[0][:200])
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as fault:
        raise UserError(f"not a URL: {shown}", why=str(fault), hint="expected http://HOST:PORT") from None
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or "@" in parts.netloc
        or parts.query
        or parts.fragment
        or not url.isprintable()
    ):
        raise UserError(f"not the URL of a server: {shown}", hint="expected http://HOST:PORT or http://HOST:PORT/PATH")
    return parts.scheme, parts.hostname, port, parts.path
