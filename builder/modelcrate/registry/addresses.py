"""Addresses that a registry names for its own protocol: the next page of a list, and the token server."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from modelcrate.net.addresses import check_not_metadata, equally_private, is_private
from modelcrate.net.urls import host, is_address, origin, redacted
from modelcrate_layers.errors import RegistryError


def check_page(before: str, after: str, where: str) -> None:
    """Raises RegistryError unless the next page of a list is on the same host, scheme and port."""
    if origin(before) != origin(after):
        raise RegistryError("the registry sent us to another host for the next page", where=where, why=redacted(after))


def check_realm(realm: str, registry_url: str, *, insecure: bool, where: str) -> None:
    """Checks the address of a token server, which gets our password.

    Args:
        realm: The address that the challenge names.
        registry_url: The registry's.
        insecure: Whether the registry is used without TLS; the token server may be, too, then.
        where: What the error message names.

    Raises:
        RegistryError: It is no URL, without TLS, private, or a metadata service.
    """

    def refused(why: str) -> RegistryError:
        return RegistryError("the registry names a token server that is not to be trusted", where=where, why=why)

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
    check_not_metadata(realm, where)
    if is_private(host(realm)) and not equally_private(host(registry_url), host(realm)):
        raise refused(f"its realm is a private address: {redacted(realm)}")


def related(one: str, other: str) -> bool:
    """Returns whether two hosts probably belong to one owner (the last two labels are equal)."""
    return host(one).split(".")[-2:] == host(other).split(".")[-2:] or (
        is_private(host(one)) and is_private(host(other))
    )
