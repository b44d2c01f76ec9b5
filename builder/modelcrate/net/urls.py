"""URLs from outside: resolved without touching their queries, compared, and shown without their secrets."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from modelcrate_layers.errors import RegistryError
from modelcrate_layers.host import WINDOWS
from modelcrate_layers.patterns import compile_later

MAX_SHOWN = 300
"""Characters of a URL in a message: a server names what it likes."""

_PORTS = {"http": 80, "https": 443}


def local_path(url: str) -> Path:
    """Returns the path that a file: URL names. On Windows it begins with a drive, which stands behind a slash in the URL."""
    path = unquote(urlsplit(url).path)
    return Path(path[1:] if WINDOWS and re.match("/[A-Za-z]:", path) else path)


def resolve(base: str, location: str, where: str) -> str:
    """Returns a Location or Link as an absolute URL (RFC 3986). Its query is kept to the byte.

    Args:
        base: The URL that was requested.
        location: The header's value, relative or absolute.
        where: What the error message names.

    Raises:
        RegistryError: It is no http(s) URL, or it holds user information.
    """
    if not location or not re.fullmatch(r"[!-~]+", location):
        raise RegistryError("the server sent no usable Location", where=where, why=f"got {location!r:.100}")
    try:
        url = urljoin(base, location)
    except ValueError:  # brackets that are no IPv6 address
        url = ""
    if not is_address(url) or "@" in urlsplit(url).netloc:
        shown = redacted(url) if url else repr(location[:100])
        raise RegistryError("the server redirects to something that is no address", where=where, why=shown)
    return url.partition("#")[0]


def is_address(url: str) -> bool:
    """Returns whether this is an http(s) URL with a host and a possible port."""
    try:
        parts = urlsplit(url)
        return parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def origin(url: str) -> str:
    """Returns scheme, host and port, with the default port spelt out. Credentials are sent within one origin only."""
    return f"{urlsplit(url).scheme}://{host(url)}:{port(url)}"


def host(url: str) -> str:
    """Returns the host without port, in lower case."""
    return (urlsplit(url).hostname or "").lower()


def port(url: str) -> int:
    """Returns the port, the scheme's own where none is named; -1 where it is none."""
    parts = urlsplit(url)
    try:
        return parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return -1


def host_and_port(url: str) -> str:
    """Returns the host with its port as it is spelt in the URL, without user information."""
    return urlsplit(url).netloc.rpartition("@")[2]


def split_login(url: str) -> tuple[str, str, str]:
    """Returns the URL without user information, and the user and password that it held ("" where there are none)."""
    scheme, mark, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    login, at, bare = authority.rpartition("@")
    user, _, password = login.partition(":")
    return (f"{scheme}{mark}{bare}{slash}{path}" if at else url), unquote(user), unquote(password)


_SECRET = compile_later(
    r"(?i)^(sig|signature|token|.*password.*|secret|_state|x-amz-.*|x-goog-.*|access_token|se|sp|sv|sr)$"
)


def redacted(url: str) -> str:
    """Returns the URL as it may be shown: no user information, and no query value that may be a signature."""
    parts = urlsplit(url)
    query = "&".join(
        f"{name}=..." if value and _SECRET.match(name) else f"{name}{mark}{value}"
        for name, mark, value in (pair.partition("=") for pair in parts.query.split("&"))
    )
    return (f"{parts.scheme}://{host_and_port(url)}{parts.path}" + (f"?{query}" if parts.query else ""))[:MAX_SHOWN]
