"""Whether a running container keeps to its platforms' protocols: each contract's own requests, sent, and what came back.

The requests are those of the platform's file (`modelcrate_server.platforms`). The container may be anybody's.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from modelcrate_layers.errors import RegistryError, UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_server.platforms import Check, Platform, platforms

MAX_RESPONSE = 16 << 20
"""Bytes of an answer that are read; a longer one is none of these protocols'."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, or in `fault` why nothing did."""

    status: int
    body: bytes
    seconds: float
    fault: str = ""


@dataclass(frozen=True, slots=True)
class ContractVerdict:
    """One request and what became of it. `ok` is None for a request that was not sent; `came` says why."""

    contract: str
    what: str
    route: str
    expected: str
    came: str
    ok: bool | None


@dataclass(frozen=True, slots=True)
class Target:
    """A server, and what is known of it. `instances` are rows to be predicted; without them nothing is predicted."""

    url: str
    model: str = ""
    instances: list[Any] | None = None
    timeout: float = 60.0


def check_contracts(target: Target, names: Sequence[str] = ()) -> tuple[ContractVerdict, ...]:
    """The verdicts of these contracts; without names, of all whose health route answers with success.

    UserError for an URL that is none, or a contract that there isn't; RegistryError where nobody answers at all.
    """
    known = platforms()
    for name in names:
        if name not in known:
            raise UserError(f"unknown contract {name!r}", hint=f"known contracts: {', '.join(known)}")
    first = send_request(target, "GET", "/")
    if first.fault:
        raise RegistryError("no server answers", where=target.url, why=first.fault)
    chosen = [known[name] for name in names] or [each for each in known.values() if _well(target, each)]
    if not chosen:
        raise RegistryError(
            "no contract is recognised",
            where=target.url,
            why="none of the health routes answers with 200",
            hint=f"name one with --contract: {', '.join(known)}",
        )
    return tuple(verdict for each in chosen for verdict in _verdicts(target, each))


def _well(target: Target, platform: Platform) -> bool:
    return send_request(target, "GET", platform.health).status == 200


def _verdicts(target: Target, platform: Platform) -> Iterator[ContractVerdict]:
    model = target.model or _listed_model(target, platform)
    for each in platform.checks:
        route = f"{each.method} {each.path.replace('{model}', quote(model, safe='') or '{model}')}"
        missing = _missing(each, model, target.instances)
        if missing:
            yield ContractVerdict(platform.name, each.what, route, _expected(each), f"not asked: {missing}", None)
            continue
        answer = send_request(
            target, each.method, route.partition(" ")[2], _body(each, target.instances), each.content_type
        )
        wrong = _wrong(each, answer)
        came = answer.fault or f"{answer.status}{f', {wrong}' if wrong else ''}"
        yield ContractVerdict(platform.name, each.what, route, _expected(each), came, not wrong)


def _missing(check: Check, model: str, instances: list[Any] | None) -> str:
    """What is lacking to send the request; empty where nothing is."""
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
    """What is not as expected; empty where all is."""
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
        return "and it is no JSON"
    if not isinstance(document, dict):
        return "and it is no JSON object"
    lacking = [name for name in check.members if name not in document]
    return f"without {', '.join(lacking)}" if lacking else ""


def _listed_model(target: Target, platform: Platform) -> str:
    """The first model that the server lists, in KServe's form or in that of a repository index; empty where it lists none."""
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
    """One request on a connection of its own. What goes wrong on the way is in the answer; UserError for an URL that is none."""
    scheme, host, port, prefix = _parts(target.url)
    started = time.monotonic()
    connection = (
        http.client.HTTPSConnection(host, port, timeout=target.timeout, context=ssl.create_default_context())
        if scheme == "https"
        else http.client.HTTPConnection(host, port, timeout=target.timeout)
    )
    try:
        connection.request(method, prefix + path, body, {} if body is None else {"Content-Type": content_type})
        answer = connection.getresponse()
        data = answer.read(MAX_RESPONSE)
    except (OSError, http.client.HTTPException) as fault:
        return Reply(0, b"", time.monotonic() - started, str(fault) or type(fault).__name__)
    finally:
        connection.close()
    return Reply(answer.status, data, time.monotonic() - started)


def _parts(url: str) -> tuple[str, str, int | None, str]:
    whole = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(whole)
        port = parts.port
    except ValueError as fault:
        raise UserError(f"not a URL: {url[:200]!r}", why=str(fault)) from None
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or "@" in parts.netloc
        or parts.query
        or not url.isprintable()
    ):
        raise UserError(f"not the URL of a server: {url[:200]!r}", hint="expected http://HOST:PORT")
    return parts.scheme, parts.hostname, port, parts.path.rstrip("/")
