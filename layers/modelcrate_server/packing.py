"""Answers in a content coding that the client accepts (RFC 9110, section 12.5.3): gzip, deflate, and zstd where the image has a library."""

from __future__ import annotations

from .request import AMLRequest
from .response import Response

LEAST = 1400
"""A smaller body travels in one packet anyway."""
_LEVEL = 1
_TYPES = ("text/", "application/json", "application/problem+json")


def packed(response: Response, request: AMLRequest) -> Response:
    """Packs an answer if its client accepts that and it gains something by it; returns the response."""
    field = request.environ.get("HTTP_ACCEPT_ENCODING")
    if not field or response.is_streamed or (response.length or 0) < LEAST:
        return response
    if "Content-Encoding" in response.headers or not str(response.content_type).startswith(_TYPES):
        return response
    response.headers.add("Vary", "Accept-Encoding")
    coding = _accepted(field)
    if coding:
        response.set_data(_PACK[coding](response.get_data()))
        response.headers["Content-Encoding"] = coding
    return response


def _accepted(field: str) -> str:
    """Returns the coding that the client prefers; of equal ones that which packs fastest here. Empty for none."""
    weights = {}
    for each in field.split(",")[:20]:
        name, _, parameter = each.partition(";")
        weights[name.strip().lower()] = _weight(parameter)
    rest = weights.get("*", 0.0)
    known = [(weights.get(name, rest), name) for name in _PACK if name != "zstd" or _zstd() is not None]
    weight, name = max(known, key=lambda each: each[0])
    return name if weight > 0 else ""


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    try:
        return float(value) if name.strip().lower() == "q" else 1.0
    except ValueError:
        return 0.0


def _zstd() -> object:
    from .encodings import zstd_module

    return zstd_module()


def _pack_zstd(body: bytes) -> bytes:
    from .encodings import pack_zstd

    return pack_zstd(body)


def _pack_gzip(body: bytes) -> bytes:
    import gzip

    return gzip.compress(body, _LEVEL, mtime=0)


def _pack_deflate(body: bytes) -> bytes:
    import zlib

    return zlib.compress(body, _LEVEL)


_PACK = {"zstd": _pack_zstd, "gzip": _pack_gzip, "deflate": _pack_deflate}
