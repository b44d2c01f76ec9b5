"""Where a hub and its local cache are, and the token for it: the variables of the hub's own tools (huggingface_hub, "Environment variables")."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from modelcrate.net.addresses import is_loopback
from modelcrate.net.files import read_file
from modelcrate.net.urls import host, is_address, origin, split_login
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass, field

HOME = "https://huggingface.co"
"""The hub where none is named."""

MAX_TOKEN = 4096
_TRUE = frozenset({"1", "on", "yes", "true"})


@dataclass(frozen=True, slots=True)
class Token:
    """A token of a hub, and where it was found."""

    token: str = field(repr=False)
    source: str

    @property
    def authorization(self) -> str:
        """The value of an Authorization header of the Bearer scheme (RFC 6750)."""
        return f"Bearer {self.token}"


@dataclass(frozen=True, slots=True)
class HubCredentials:
    """The token of a hub, for requests to the hub itself: no other host gets it, and none over plain http but on this machine."""

    endpoint: str
    token: Token | None

    def find(self, url: str) -> Token | None:
        """Returns the token for a request to this URL; None where there is none, or where it must not be sent."""
        safe = url.startswith("https://") or is_loopback(host(url))
        return self.token if safe and origin(url) == origin(self.endpoint) else None

    def find_after_refusal(self, url: str) -> Token | None:
        """Returns None: there is one token or none."""
        return None

    def searched(self) -> str:
        """Returns the places that are searched for a token."""
        return "HF_TOKEN, and the file token in HF_HOME (~/.cache/huggingface)"

    def advice(self, place: str) -> str:
        """Returns what to do about a request that `place` refused."""
        return (
            "set HF_TOKEN to a token that may read it; a gated model has terms to be accepted on its page, "
            "and a model that does not exist is refused in the same way"
        )


@dataclass(frozen=True, slots=True)
class HubSettings:
    """Where a hub is, its local cache, and the token.

    Attributes:
        endpoint: The hub's URL, without a slash at its end.
        cache: The folder of the hub's own tools with downloaded files; None where there is no home.
        token: The token of the user.
        offline: Whether the hub must not be asked.
    """

    endpoint: str
    cache: Path | None
    token: Token | None
    offline: bool

    @classmethod
    def of(cls, environment: Mapping[str, str], *, offline: bool) -> HubSettings:
        """Returns the settings in these variables.

        Raises:
            UserError: HF_ENDPOINT is no address.
        """
        endpoint = (environment.get("HF_ENDPOINT") or HOME).rstrip("/")
        if not is_address(endpoint) or split_login(endpoint)[0] != endpoint:
            raise UserError(
                "HF_ENDPOINT is not the address of a hub", hint="expected for instance https://huggingface.co"
            )
        home = _home(environment)
        named = environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE")
        cache = Path(named) if named else home / "hub" if home else None
        closed = any(environment.get(name, "").lower() in _TRUE for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))
        return cls(endpoint, cache, _token(environment, home), offline or closed)


def _home(environment: Mapping[str, str]) -> Path | None:
    if named := environment.get("HF_HOME"):
        return Path(named)
    if named := environment.get("XDG_CACHE_HOME"):
        return Path(named) / "huggingface"
    named = environment.get("HOME")
    return Path(named) / ".cache" / "huggingface" if named else None


def _token(environment: Mapping[str, str], home: Path | None) -> Token | None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if found := environment.get(name, "").strip():
            return _checked(found, name)
    named = environment.get("HF_TOKEN_PATH")
    path = Path(named) if named else home / "token" if home else None
    if path is None:
        return None
    try:
        found = read_file(path, MAX_TOKEN).decode().strip()
    except (OSError, ValueError):
        return None
    return _checked(found, str(path)) if found else None


def _checked(token: str, source: str) -> Token:
    if not token.isascii() or not token.isprintable() or " " in token:
        raise UserError(
            "is not a token of a hub: it has characters that no token has",
            where=source,
            hint="a token is one line of letters, digits and '_', such as hf_...",
        )
    return Token(token, source)
