"""Cross-origin requests: the origins whose scripts may read answers (AML_CORS_ORIGINS)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .request import AMLRequest
from .response import Response

ALLOW_ORIGIN = "Access-Control-Allow-Origin"
METHODS = ("GET", "POST")
_PATTERN_SIGNS = frozenset("*\\]?$^[]()")


class Origins:
    """A list of origins. One with the characters of a regular expression is used as one; a single * means any origin."""

    def __init__(self, listed: Sequence[str]) -> None:
        self._patterns = [
            re.compile(".*" if origin == "*" else origin, re.IGNORECASE)
            for origin in listed
            if not _PATTERN_SIGNS.isdisjoint(origin)
        ]
        self._names = sorted({origin for origin in listed if _PATTERN_SIGNS.isdisjoint(origin)})
        self._any = "*" in listed
        self._vary = len(listed) > 1 or bool(self._patterns)

    def write(self, request: AMLRequest, response: Response) -> None:
        """Adds the header fields for a request, unless the script has set its own."""
        allowed = self._allowed(request.headers.get("Origin"))
        if not allowed or ALLOW_ORIGIN in response.headers:
            return
        for origin in allowed:
            response.headers.add(ALLOW_ORIGIN, origin)
        if request.headers.get("Access-Control-Request-Private-Network") == "true":
            response.headers.add("Access-Control-Allow-Private-Network", "false")
        if request.method == "OPTIONS" and request.headers.get("Access-Control-Request-Method", "").upper() in METHODS:
            wanted = [name.strip() for name in request.headers.get("Access-Control-Request-Headers", "").split(",")]
            if any(wanted):
                response.headers.add("Access-Control-Allow-Headers", ", ".join(sorted(wanted)))
            response.headers.add("Access-Control-Allow-Methods", ", ".join(METHODS))
        if self._vary and allowed != ["*"]:
            response.headers.add("Vary", "Origin")

    def _allowed(self, origin: str | None) -> list[str]:
        if not origin:
            return ["*"] if self._any else self._names[:1]
        named = any(origin.lower() == name.lower() for name in self._names)
        return [origin] if named or any(pattern.match(origin) for pattern in self._patterns) else []
