"""The ids of a request, in its header fields and in those of the answer."""

from __future__ import annotations

import os
from dataclasses import dataclass

from .request import AMLRequest
from .response import AMLResponse, Response, error

LIMIT = 100
"""Characters an id may have."""


@dataclass(frozen=True)
class RequestIds:
    """The ids for the answer; empty ones are left out. `legacy`: the client used the old name for its own id."""

    request: str = ""
    ms_request: str = ""
    client: str = ""
    legacy: bool = False

    def write(self, response: Response) -> None:
        """Sets the header fields."""
        names = (("x-request-id", self.request), ("x-ms-request-id", self.ms_request))
        for name, value in (*names, ("x-ms-client-request-id", self.client)):
            if value:
                response.headers[name] = value


def new_id() -> str:
    """Returns a random UUID (RFC 9562, version 4) as text. Python's own class for them takes several times as long."""
    data = bytearray(os.urandom(16))
    data[6] = data[6] & 0x0F | 0x40
    data[8] = data[8] & 0x3F | 0x80
    text = data.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def read_ids(request: AMLRequest) -> tuple[RequestIds, AMLResponse | None]:
    """Returns the ids, and a refusal when one of them is too long."""
    own = request.headers.get("x-request-id")
    if own is None:
        own = new_id()
    if len(own) > LIMIT:
        return RequestIds(), error(431, f"x-request-id must not exceed {LIMIT} characters")
    old = request.headers.get("x-ms-request-id", "")
    client = request.headers.get("x-ms-client-request-id", "") or old
    ms_request = old or client or own
    if len(ms_request) > LIMIT or len(client) > LIMIT:
        refusal = error(431, f"x-ms-request-id and x-ms-client-request-id must not exceed {LIMIT} characters")
        return RequestIds(request=own, legacy=bool(old)), refusal
    return RequestIds(own, ms_request, client, legacy=bool(old)), None
