"""Checks of the addresses that a server sends us to (redirects and upload locations), by their spelling.

Names are not resolved here: a server inside a company has names that resolve to private addresses. A literal private
address after a public name is an attack (SSRF), and so is a step from https down to http. Link-local addresses and those
of the clouds' metadata services are never a target; `connections.py` checks them once more after names are resolved.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from modelcrate.net.urls import host, origin, redacted
from modelcrate_layers.errors import RegistryError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

METADATA_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in (
        "169.254.0.0/16",  # AWS, Azure, GCP, and others; all of RFC 3927
        "fe80::/10",  # link-local in IPv6 (RFC 4291)
        "fd00:ec2::/32",  # AWS in IPv6
        "fd20:ce::254/128",  # GCP in IPv6
        "fd00:42::42/128",  # Scaleway in IPv6
        "100.100.100.200/32",  # Alibaba Cloud
        "192.0.0.192/32",  # Oracle Cloud, first generation
        "168.63.129.16/32",  # Azure's wire server
    )
)
"""Link-local networks and metadata services. They hand the machine's own credentials to any request."""

METADATA_NAMES = frozenset({"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"})  # fmt: skip

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")


def is_loopback(name: str) -> bool:
    """Returns whether a host is this machine by its spelling. Names are not resolved."""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name.lower() == "localhost" or name.lower().endswith(".localhost")


def is_private(name: str) -> bool:
    """Returns whether a host, by its spelling, is this machine or in a private network. Odd spellings of IPv4 count."""
    if is_loopback(name) or name in ("", "localhost.localdomain"):
        return True
    address = _literal(name)
    return address is not None and not all(each.is_global for each in _meanings(address)[-1:])


def is_metadata(name: str) -> bool:
    """Returns whether a host, by its spelling, is link-local or a cloud's metadata service."""
    if name.lower().rstrip(".") in METADATA_NAMES:
        return True
    address = _literal(name)
    return address is not None and any(
        each.version == network.version and each in network
        for each in _meanings(address)
        for network in METADATA_NETWORKS
    )


def check_hop(before: str, after: str, where: str, *, plain: bool = False) -> None:
    """Checks a redirect or an upload location: to another host over https only, never to http, never inside.

    Args:
        before: The URL that was requested.
        after: The URL that the server names.
        where: What the error message names.
        plain: Allow http to another host where it was http before, for files that are verified by other means.

    Raises:
        RegistryError: The step is not allowed.
    """
    if origin(before) == origin(after):
        return
    secure = urlsplit(after).scheme == "https"
    if urlsplit(before).scheme == "https" and not secure:
        raise RegistryError("the server sent us from https to http", where=where, why=f"to {redacted(after)}")
    check_not_metadata(after, where)
    if is_private(host(after)) and not equally_private(host(before), host(after)):
        raise RegistryError(
            "the server sent us to a private address", where=where, why=f"to {redacted(after)}",
            hint="an attack, or a server that does not know its own public address",
        )  # fmt: skip
    if not secure and not plain and not is_private(host(before)) and host(before) != host(after):
        raise RegistryError("the server sent us to another host without TLS", where=where, why=redacted(after))


def check_not_metadata(url: str, where: str) -> None:
    """Raises RegistryError for a URL at a link-local address or a metadata service."""
    if is_metadata(host(url)):
        raise RegistryError(
            "the server sent us to a link-local address or a metadata service", where=where, why=f"to {redacted(url)}",
            hint="an attack: such an address hands out this machine's own credentials",
        )  # fmt: skip


def equally_private(before: str, after: str) -> bool:
    """Returns whether a step goes from this machine to this machine, or between private addresses other than this machine."""
    return is_private(before) and (is_loopback(before) or not is_loopback(after))


def _meanings(address: Address) -> list[Address]:
    """The address, and the IPv4 address that it carries inside (mapped, compatible, 6to4, NAT64, Teredo), which decides."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    if inner is None and (address in _NAT64 or (address in _COMPATIBLE and int(address) > 0xFFFF)):
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return [address, inner] if inner is not None else [address]


def _literal(name: str) -> Address | None:
    try:
        return ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        pass
    if not re.fullmatch(r"[0-9a-fA-FxX.]+", name) or not re.match(r"[0-9]", name.rsplit(".", 1)[-1] or "0"):
        return None
    import socket

    try:  # 2130706433, 0x7f.1 and 127.1 are all this machine to a resolver
        return ipaddress.IPv4Address(socket.inet_aton(name.rstrip(".")))
    except OSError:
        return None
