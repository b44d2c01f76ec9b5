"""The token protocol as values: what is asked of a token server, and what its answer means.

Distribution's "token authentication" (GET) and its OAuth2 variant (POST), for identity tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field
from urllib.parse import urlencode

from modelcrate.net.messages import Bytes, Request, Response
from modelcrate.net.urls import redacted
from modelcrate.registry.challenges import Challenge, parse_scope
from modelcrate.registry.credentials import IDENTITY, Credential
from modelcrate.registry.wire import Access
from modelcrate_layers.content import parse_json
from modelcrate_layers.errors import CrateError, RegistryError
from modelcrate_layers.frozen import dataclass

MAX_ANSWER = 64 << 10
FLOOR = 60.0
"""Seconds; a shorter lifetime is taken for this long, as all large clients do (a 401 corrects us)."""

EARLY = 10.0
"""Seconds before its end at which a token is not used any more."""

CLIENT = "modelcrate"


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, the scopes that it was asked for, and when it ends (seconds since 1970)."""

    value: str = field(repr=False)
    scopes: frozenset[Access]
    issued: float
    ends: float
    refresh: str = field(default="", repr=False)

    def covers(self, access: Iterable[Access]) -> bool:
        """Whether every scope was asked for when this token was made."""
        return all(
            any(one.repository == held.repository and one.actions <= held.actions for held in self.scopes)
            for one in access
        )

    def lasts(self, now: float, *, young: bool) -> bool:
        """Whether it can still be used; `young` asks for half of its life, for what will take long."""
        left = self.ends - now
        return left > (max(EARLY, (self.ends - self.issued) / 2) if young else EARLY)


def merge(challenged: Sequence[str], wanted: Sequence[Access]) -> list[str]:
    """The scopes to ask for: what was challenged first (some servers read only the first), joined with what is
    wanted."""
    merged: dict[str, Access | str] = {}
    for text in challenged:
        one = parse_scope(text)
        merged[one.repository if one else text] = one or text
    for access in wanted:
        known = merged.get(access.repository)
        actions = access.actions | (known.actions if isinstance(known, Access) else frozenset())
        merged[access.repository] = Access(access.repository, actions)
    return [str(one) for one in merged.values()]


def ask(challenge: Challenge, scopes: Sequence[str], credential: Credential | None) -> Request:
    """GET: the service, the scopes one by one, and Basic credentials where there are any."""
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


def trade(challenge: Challenge, scopes: Sequence[str], refresh: str) -> Request:
    """POST: an identity token for an access token (OAuth2)."""
    form = {"grant_type": "refresh_token", "service": challenge.service, "client_id": CLIENT}
    form |= {"scope": " ".join(scopes), "refresh_token": refresh}
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    return Request("POST", challenge.realm, headers, Bytes(urlencode(form).encode()))


def granted(answer: Response, scopes: Sequence[str], now: float) -> Token:
    """The token of a 200; `token` and `access_token` mean the same. The answer itself is never shown: it may
    hold a secret."""
    where = f"token server {redacted(answer.url).partition('?')[0]}"
    try:
        document = parse_json(answer.body)
    except CrateError:
        raise RegistryError("the token server's answer is not JSON", where=where) from None
    told = document if isinstance(document, dict) else {}
    value = told.get("token") or told.get("access_token")
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise RegistryError("the token server's answer holds no token", where=where)
    lifetime, refresh = told.get("expires_in"), told.get("refresh_token")
    seconds = max(FLOOR, float(lifetime)) if isinstance(lifetime, int | float) and 0 < lifetime < 1e9 else FLOOR
    asked = frozenset(filter(None, map(parse_scope, scopes)))
    return Token(value, asked, now, now + seconds, refresh if isinstance(refresh, str) else "")
