"""WWW-Authenticate (RFC 9110, 11.6.1): several headers, several schemes in one, quoted commas, any case."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from modelcrate.registry.wire import Access
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.patterns import compile_later

MAX_HEADER = 16 << 10

_TOKEN = compile_later(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PARAMETER = compile_later(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s,\"]+))\s*")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to log in: the scheme in lower case, and its parameters with lower-case names."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def realm(self) -> str:
        """The address of the token server (Bearer), or the name of the protected area (Basic); "" for none."""
        return self.parameters.get("realm", "")

    @property
    def service(self) -> str:
        """The service that a token server issues the token for; "" for none."""
        return self.parameters.get("service", "")

    @property
    def error(self) -> str:
        """The error code of a refused token, such as `invalid_token` (RFC 6750, 3.1); "" for none."""
        return self.parameters.get("error", "")

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that the request needs, such as `repository:NAME:pull`."""
        return tuple(self.parameters.get("scope", "").split())


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """Returns all challenges in their order. What can't be parsed is left out."""
    found: list[Challenge] = []
    for text in headers:
        text, at = text[:MAX_HEADER], 0
        while scheme := _TOKEN.match(text, _skip(text, at)):
            parameters, at = _parameters(text, scheme.end())
            found.append(Challenge(scheme[0].lower(), parameters))
    return found


def choose(challenges: Iterable[Challenge]) -> Challenge | None:
    """Returns the challenge to answer: Bearer with a realm, else Basic. Others (Negotiate, Digest) are not supported."""
    known = list(challenges)
    bearers = [one for one in known if one.scheme == "bearer" and one.realm]
    basics = [one for one in known if one.scheme == "basic"]
    return next(iter(bearers + basics), None)


def parse_scope(text: str) -> Access | None:
    """Returns `repository:NAME:pull,push` as an Access; None for other kinds. A name may hold a port."""
    kind, _, rest = text.partition(":")
    name, _, actions = rest.rpartition(":")
    return Access(name, frozenset(filter(None, actions.split(",")))) if kind == "repository" and name else None


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t,":
        at += 1
    return at


def _parameters(text: str, at: int) -> tuple[dict[str, str], int]:
    """The parameters from here on, up to the next scheme (a token that no '=' follows) or the end."""
    found: dict[str, str] = {}
    while match := _PARAMETER.match(text, at):
        value = re.sub(r"\\(.)", r"\1", match[2]) if match[2] is not None else match[3]
        found.setdefault(match[1].lower(), value)
        at = match.end()
        if not text.startswith(",", at):
            break
        at = _skip(text, at)
    else:
        at = _past_token68(text, at)
    return found, at


def _past_token68(text: str, at: int) -> int:
    """The position after a token68 such as in `Negotiate dG9rZW4=`, if there is one."""
    blob = re.compile(r"[ \t]+[A-Za-z0-9._~+/-]+=*[ \t]*(?=,|$)").match(text, at)
    return blob.end() if blob else at
