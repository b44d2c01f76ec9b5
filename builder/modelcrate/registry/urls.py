"""URLs as registries hand them out: resolved without touching their queries, and shown without their secrets."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

from modelcrate_layers.errors import RegistryError


def resolve(base: str, location: str, where: str) -> str:
    """A Location or Link against the URL that was asked (RFC 3986); its query is kept to the byte."""
    if not location or not re.fullmatch(r"[!-~]+", location):
        raise RegistryError("the registry sent no usable Location", where=where, why=f"got {location!r:.100}")
    url = urljoin(base, location)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise RegistryError("the registry sent us to an address that is none", where=where, why=redacted(url))
    return url.partition("#")[0]


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
