"""Connections, kept and shared: one set for every way of believing a registry, and for every proxy."""

from __future__ import annotations

import errno
import os
import ssl
from urllib.parse import unquote, urlsplit

import certifi
import urllib3
from urllib3.util.ssl_ import create_urllib3_context

from modelcrate.registry.profiles import RegistryProfile
from modelcrate.registry.settings import RegistryConfig
from modelcrate_layers.frozen import dataclass

BLOCK = 1 << 20
POOL = 64
"""Hosts whose connections are kept, and how many of each: more than ever ask at once."""


@dataclass(frozen=True, slots=True)
class Trust:
    """How one registry is believed: CA bundle, whether at all, and the certificate that we show."""

    verify: bool | str = True
    certificate: tuple[str, str] | None = None

    @classmethod
    def of(cls, habits: RegistryProfile, settings: RegistryConfig) -> Trust:
        verify: bool | str = True
        if ca := habits.ca or settings.ca:
            verify = str(ca)
        if habits.skip_verify:
            verify = False
        pair = (str(habits.client_cert), str(habits.client_key or habits.client_cert)) if habits.client_cert else None
        return cls(verify, pair)


def connections(trust: Trust | None, proxy: str | None) -> urllib3.PoolManager:
    """Connections of one way of trusting (none: plain HTTP), through a proxy or not."""
    tls = _context(trust) if trust is not None else None
    if proxy is None:
        return urllib3.PoolManager(POOL, maxsize=POOL, blocksize=BLOCK, ssl_context=tls)
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    headers = urllib3.make_headers(proxy_basic_auth=user) if parts.username else None
    return urllib3.ProxyManager(
        parts.geturl(), POOL, proxy_headers=headers, maxsize=POOL, blocksize=BLOCK, ssl_context=tls
    )


def _context(trust: Trust) -> ssl.SSLContext:
    """What a secure connection is held to; made once, for reading all the world's certificates takes longer than a request."""
    context = create_urllib3_context()
    if trust.verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        bundle = trust.verify if isinstance(trust.verify, str) else certifi.where()
        _there(bundle)
        context.load_verify_locations(**{"capath" if os.path.isdir(bundle) else "cafile": bundle})
    if trust.certificate is not None:
        for path in trust.certificate:
            _there(path)
        context.load_cert_chain(*trust.certificate)
    return context


def _there(path: str) -> None:
    """The ssl module doesn't say which file it missed."""
    if not os.path.exists(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
