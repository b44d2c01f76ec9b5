"""The token protocol as values: requests to a token server, and what its responses mean.

This is distribution's "token authentication" (GET) and its OAuth2 variant (POST) for identity tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import urlencode

from modelcrate.net.messages import Bytes, Request, Response
from modelcrate.net.urls import redacted
from modelcrate.registry.challenges import Challenge, parse_scope
from modelcrate.registry.credential import Credential
from modelcrate.registry.credentials import IDENTITY
from modelcrate.registry.wire import Access
from modelcrate_layers.content import parse_json
from modelcrate_layers.errors import CrateError, RegistryError
from modelcrate_layers.frozen import dataclass, field

MAX_RESPONSE = 64 << 10
FLOOR = 60.0
"""Seconds. A shorter lifetime is taken for this long, as all large clients do; a 401 corrects it."""

EARLY = 10.0
"""Seconds before its end from which on a token is not used."""

CLIENT = "modelcrate"


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, the scopes that it was requested for, and when it ends (seconds since 1970)."""

    value: str = field(repr=False)
    scopes: frozenset[Access]
    issued: float
    ends: float
    refresh: str = field(default="", repr=False)

    def covers(self, access: Iterable[Access]) -> bool:
        """Returns whether the token was requested for all of these accesses."""
        return all(
            any(one.repository == held.repository and one.actions <= held.actions for held in self.scopes)
            for one in access
        )

    def lasts(self, now: float, *, fresh: bool) -> bool:
        """Returns whether it can still be used. `fresh`: at least half of its lifetime must be left."""
        left = self.ends - now
        return left > (max(EARLY, (self.ends - self.issued) / 2) if fresh else EARLY)


def merge(challenged: Sequence[str], wanted: Sequence[Access]) -> list[str]:
    """Returns the scopes to request: the challenged ones first (some servers read only the first), then the wanted ones."""
    merged: dict[str, Access | str] = {}
    for text in challenged:
        one = parse_scope(text)
        merged[one.repository if one else text] = one or text
    for access in wanted:
        known = merged.get(access.repository)
        actions = access.actions | (known.actions if isinstance(known, Access) else frozenset())
        merged[access.repository] = Access(access.repository, actions)
    return [str(one) for one in merged.values()]


def token_request(challenge: Challenge, scopes: Sequence[str], credential: Credential | None) -> Request:
    """Returns a GET with the service, the scopes one by one, and Basic credentials where there are any."""
    query = [("service", challenge.service)] if challenge.service else []
    query += [("scope", scope) for scope in scopes]
    headers = {"Accept": "application/json"}
    if credential:
        name = credential.username or IDENTITY
        held = Credential(name, credential.password or credential.identity_token)
        query += [("account", name), ("client_id", CLIENT)]
        headers["Authorization"] = held.basic
    joint = "&" if "?" in challenge.realm else "?"
    return Request("GET", challenge.realm + (joint + urlencode(query) if query else ""), headers)


def refresh_request(challenge: Challenge, scopes: Sequence[str], refresh: str) -> Request:
    """Returns a POST that exchanges an identity token for an access token (OAuth2)."""
    form = {"grant_type": "refresh_token", "service": challenge.service, "client_id": CLIENT}
    form |= {"scope": " ".join(scopes), "refresh_token": refresh}
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    return Request("POST", challenge.realm, headers, Bytes(urlencode(form).encode()))


def parse_token(answer: Response, scopes: Sequence[str], now: float) -> Token:
    """Returns the token of a 200; `token` and `access_token` mean the same.

    Raises:
        RegistryError: It holds no token. The response itself is never shown, because it may hold a secret.
    """
    where = f"token server {redacted(answer.url).partition('?')[0]}"
    try:
        document = parse_json(answer.body)
    except CrateError:
        raise RegistryError("the token server's answer is not JSON", where=where) from None
    members = document if isinstance(document, dict) else {}
    value = members.get("token") or members.get("access_token")
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise RegistryError("the token server's answer holds no token", where=where)
    lifetime, refresh = members.get("expires_in"), members.get("refresh_token")
    seconds = max(FLOOR, float(lifetime)) if isinstance(lifetime, int | float) and 0 < lifetime < 1e9 else FLOOR
    requested = frozenset(filter(None, map(parse_scope, scopes)))
    return Token(value, requested, now, now + seconds, refresh if isinstance(refresh, str) else "")
