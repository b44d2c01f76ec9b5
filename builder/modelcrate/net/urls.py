"""URLs as registries hand them out: resolved without touching their queries, and shown without their secrets."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

from modelcrate_layers.errors import RegistryError


def resolve(base: str, location: str, where: str) -> str:
    """A Location or Link against the URL that was asked (RFC 3986); its query is kept to the byte."""
    if not location or not re.fullmatch(r"[!-~]+", location):
        raise RegistryError("the registry sent no usable Location", where=where, why=f"got {location!r:.100}")
    try:
        url = urljoin(base, location)
    except ValueError:  # brackets that are no IPv6 address
        url = ""
    if not is_address(url) or "@" in urlsplit(url).netloc:
        shown = redacted(url) if url else repr(location[:100])
        raise RegistryError("the registry sent us to an address that is none", where=where, why=shown)
    return url.partition("#")[0]


def is_address(url: str) -> bool:
    """Whether it is an http(s) URL with a host, and with a port that is one, if it has any."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


_SECRET = re.compile(
    r"(?i)^(sig|signature|token|.*password.*|secret|_state|x-amz-.*|x-goog-.*|access_token|se|sp|sv|sr)$"
)


def redacted(url: str) -> str:
    """The URL as it may be shown: no user information, and no value of a query that might be a signature."""
    parts = urlsplit(url)
    query = "&".join(
        f"{name}=..." if _SECRET.match(name) and value else f"{name}{mark}{value}"
        for name, mark, value in (pair.partition("=") for pair in parts.query.split("&"))
    )
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" + (f"?{query}" if parts.query else "")
