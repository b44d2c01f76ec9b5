"""The last head of a connection. A client that keeps its connection usually sends the same head again, but for the length of the body.

Such a head need not be parsed anew: what was made of it by gunicorn's parser holds for it, too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

LONGEST = 4096
"""The bytes of a head that is remembered: a thousand connections must not fill the memory with them."""

_LENGTH = re.compile(rb"(?i)\r\ncontent-length:[ \t]*([0-9]{1,18})\r\n")


@dataclass(frozen=True)
class KnownHead:
    """A head and what it says.

    Attributes:
        request: Gunicorn's request.
        environ: What it says by WSGI (PEP 3333), without the body. It is copied for each request.
    """

    _before: bytes
    _after: bytes | None  # what follows the number of the body's length; None without a length
    request: Any
    environ: dict[str, Any]

    @classmethod
    def of(cls, head: bytes, request: Any, environ: dict[str, Any]) -> KnownHead | None:
        """Returns what is to be remembered of a head that was parsed; None where the next one has to be parsed, too."""
        found = _LENGTH.search(head)
        length = None if found is None else found[1].decode()
        if len(head) > LONGEST or "HTTP_EXPECT" in environ or length != environ.get("CONTENT_LENGTH"):
            return None
        if found is None:
            return cls(head, None, request, environ)
        return cls(head[: found.start(1)], head[found.end(1) :], request, environ)

    def length_in(self, head: bytes) -> bytes | None:
        """Returns the digits of the body's length if this is the same head but for them: empty without a length. None for another head."""
        if self._after is None:
            return b"" if head == self._before else None
        if not (head.startswith(self._before) and head.endswith(self._after)):
            return None
        digits = head[len(self._before) : -len(self._after)]
        return digits if digits.isdigit() and len(digits) <= 18 else None
