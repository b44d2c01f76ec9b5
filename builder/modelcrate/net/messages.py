"""HTTP requests and responses as values (RFC 9110). Nothing here opens a connection."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Protocol, TypeVar

from modelcrate.net.urls import MAX_SHOWN
from modelcrate_layers.frozen import dataclass, field, replace


class Body(Protocol):
    """Bytes to send. A request that is repeated calls `chunks` again."""

    @property
    def length(self) -> int | None:
        """The size in bytes; None where it is not known."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """Yields the bytes, from the first one at each call."""
        ...


@dataclass(frozen=True, slots=True)
class Bytes:
    """A body that is in memory."""

    data: bytes

    @property
    def length(self) -> int:
        """The size in bytes."""
        return len(self.data)

    def chunks(self) -> Iterator[bytes]:
        """Yields the bytes in one chunk; nothing where the body is empty."""
        if self.data:
            yield self.data


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `repeat` means that sending it twice does no harm, so that it may be retried."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Body | None = None
    repeat: bool = True

    def where(self) -> str:
        """Returns the method and the URL without user information and query, which may hold secrets."""
        scheme, mark, rest = self.url.partition("?")[0].partition("://")
        host, slash, path = rest.partition("/")
        return f"{self.method} {scheme}{mark}{host.rpartition('@')[2]}{slash}{path}"[:MAX_SHOWN]


AnyRequest = TypeVar("AnyRequest", bound=Request)


def follow(request: AnyRequest, url: str) -> AnyRequest:
    """Returns the same request to another address."""
    return replace(request, url=url)


def basic_authorization(username: str, password: str) -> str:
    """Returns the value of an Authorization header of the Basic scheme (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Headers:
    """Header fields in their order. Names are compared without case; repeated fields are kept apart."""

    fields: tuple[tuple[str, str], ...] = ()

    def all(self, name: str) -> list[str]:
        """Returns the values of all fields with this name, in their order."""
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name: str, default: str = "") -> str:
        """Returns the value of the first field with this name, else `default`."""
        found = self.all(name)
        return found[0] if found else default


@dataclass(frozen=True, slots=True)
class Response:
    """A response: status, header fields, the (capped) body, and the URL that was requested last."""

    status: int
    headers: Headers
    body: bytes = b""
    url: str = ""

    @property
    def media_type(self) -> str:
        """The type of Content-Type, in lower case and without parameters."""
        return self.headers.get("Content-Type").partition(";")[0].strip().lower()

    @property
    def is_web_page(self) -> bool:
        """Whether the body is an HTML page, such as the sign-in page of a proxy."""
        return self.body[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")[:14].lower().startswith((b"<!doctype html", b"<html"))
