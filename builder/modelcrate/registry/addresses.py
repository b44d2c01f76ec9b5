"""Where a registry may send us: redirects, upload locations, next pages and token realms, checked by spelling.

Names are not resolved: a registry inside a company legitimately has names that resolve to private addresses. A literal
private address after a public name, however, is an attack (SSRF), and so is a step from https down to http.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from urllib.parse import urlsplit

from modelcrate.images.reference import is_loopback
from modelcrate.net.urls import is_address, redacted
from modelcrate_layers.errors import RegistryError

_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> str:
    """Scheme, host and port, with the default port spelt out: what has to be equal for credentials to be sent."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{_port(url)}"


def host(url: str) -> str:
    """The host without port, lower-case."""
    return (urlsplit(url).hostname or "").lower()


def is_private(name: str) -> bool:
    """Whether a host, as it is spelt, means this machine or a private network; odd spellings of IPv4 are seen
    through."""
    if is_loopback(name) or name in ("", "localhost.localdomain"):
        return True
    address = _literal(name)
    if address is None:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return not (mapped or address).is_global


def check_hop(before: str, after: str, where: str) -> None:
    """A redirect or an upload location may lead to another host over https; never down to http, nor inside."""
    if origin(before) == origin(after):
        return
    if urlsplit(before).scheme == "https" and urlsplit(after).scheme != "https":
        raise RegistryError("the registry sent us from https to http", where=where, why=f"to {redacted(after)}")
    if is_private(host(after)) and not _equally_private(host(before), host(after)):
        raise RegistryError(
            "the registry sent us to a private address", where=where, why=f"to {redacted(after)}",
            hint="an attack, or a registry that does not know its own public address",
        )  # fmt: skip
    if urlsplit(after).scheme != "https" and not is_private(host(before)) and host(before) != host(after):
        raise RegistryError("the registry sent us to another host without TLS", where=where, why=redacted(after))


def check_page(before: str, after: str, where: str) -> None:
    """The next page of a list is on the same host, scheme and port."""
    if origin(before) != origin(after):
        raise RegistryError("the registry sent us to another host for the next page", where=where, why=redacted(after))


def check_realm(realm: str, registry_url: str, *, insecure: bool, where: str) -> None:
    """A token server gets our password, so it has to be https (http only beside an http registry), and not a
    private one."""

    def refused(why: str) -> RegistryError:
        return RegistryError("the registry names a token server that we don't trust", where=where, why=why)

    if not re.fullmatch(r"[!-~]+", realm):
        raise refused("its realm is not a URL")
    if not is_address(realm):
        raise refused("its realm is not an http(s) URL")
    parts = urlsplit(realm)
    if "@" in parts.netloc:
        raise refused("its realm holds user information")
    if origin(realm) == origin(registry_url):
        return
    if parts.scheme == "http" and not (insecure and urlsplit(registry_url).scheme == "http"):
        raise refused(f"its realm is without TLS: {redacted(realm)}")
    if is_private(host(realm)) and not _equally_private(host(registry_url), host(realm)):
        raise refused(f"its realm is a private address: {redacted(realm)}")


def related(one: str, other: str) -> bool:
    """Whether two hosts look as if they belonged to one owner (the last two labels are equal)."""
    return host(one).split(".")[-2:] == host(other).split(".")[-2:] or (
        is_private(host(one)) and is_private(host(other))
    )


def _equally_private(before: str, after: str) -> bool:
    """From this machine to this machine, or from a private address to another that is not this machine."""
    return is_private(before) and (is_loopback(before) or not is_loopback(after))


def _port(url: str) -> int:
    parts = urlsplit(url)
    try:
        return parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return -1


def _literal(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        pass
    if not re.fullmatch(r"[0-9a-fA-FxX.]+", name) or not re.match(r"[0-9]", name.rsplit(".", 1)[-1] or "0"):
        return None
    try:  # 2130706433, 0x7f.1 and 127.1 are all this machine to a resolver
        return ipaddress.IPv4Address(socket.inet_aton(name))
    except OSError:
        return None
