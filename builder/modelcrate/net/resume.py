"""A body that continues where it broke off: with Range, or, where a server does not support ranges, by skipping the first bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping

from modelcrate.net.client import Reply
from modelcrate.net.errors import ConnectionFailed, ErrorResponse
from modelcrate.net.messages import Response
from modelcrate.net.retry import RetryEngine
from modelcrate_layers.errors import IntegrityError

PROGRESS = 64 << 10
"""Bytes that an attempt has to bring to count as one that got on: a server could else send a byte at a time, each by a request."""

Open = Callable[[Mapping[str, str], Collection[int]], Reply]
"""Sends the request once with these header fields; another status than these is an ErrorResponse."""


def resumed(
    open_body: Open, size: int | None, engine: RetryEngine, check: Callable[[], None], where: str, start: int = 0
) -> Iterator[bytes]:
    """Yields the body from byte `start` to its end.

    It breaks off only when fewer than PROGRESS bytes came in each of as many attempts in a row as the engine's patience allows.

    Args:
        open_body: Sends the request.
        size: The size of the complete body in bytes, None where it is not known.
        engine: Waits between attempts.
        check: Called for every chunk; it raises to end the transfer.
        where: What an error message names.
        start: The first byte wanted.

    Raises:
        IntegrityError: The server announces another size.
        RegistryError: The last error, when the attempts are used up.
    """
    at, failures, etag = start, 0, ""
    while size is None or at < size or size == 0:
        check()
        before = at
        try:
            with _open_at(open_body, at, etag) as reply:
                etag = reply.answer.headers.get("ETag")
                for chunk in _from(reply, at, size, where):
                    check()
                    at += len(chunk)
                    yield chunk
                    if size is not None and at > size:
                        return  # a byte too many, which the caller's own check finds
            if size is not None and at < size:
                raise ConnectionFailed(reply.request, f"it ended after {at} of {size} bytes")
            return
        except (ConnectionFailed, ErrorResponse) as fault:
            failures = 1 if at - before >= PROGRESS else failures + 1
            engine.pause(fault, failures)


def _open_at(open_body: Open, at: int, etag: str) -> Reply:
    """Returns the body from byte `at`; from its first, where the server does not support ranges or sends another range."""
    if not at:
        return open_body({}, (200,))
    condition = {"If-Range": etag} if etag.startswith('"') else {}
    reply = open_body({"Range": f"bytes={at}-", **condition}, (200, 206, 416))
    if reply.answer.status == 416 or (reply.answer.status == 206 and partial_start(reply.answer) != at):
        reply.close()
        return open_body({}, (200,))
    return reply


def _from(reply: Reply, at: int, size: int | None, where: str) -> Iterator[bytes]:
    """The bytes from `at`, whether the server skipped those before it or we have to."""
    skip = at if reply.answer.status == 200 else 0
    announced = length(reply.answer)
    if size is not None and announced is not None and announced != size - (at - skip):
        kind = f" of {reply.answer.media_type}" if reply.answer.media_type else ""
        what = f"has the wrong size: should have {size - (at - skip)} bytes, the server announces {announced}{kind}"
        raise IntegrityError(what, where=where)
    for chunk in reply.chunks():
        if skip >= len(chunk):
            skip -= len(chunk)
            continue
        yield chunk[skip:]
        skip = 0


def partial_start(answer: Response) -> int | None:
    """Returns the first byte of a 206 (Content-Range); None where it can't be read."""
    found = re.match(r"bytes (\d{1,18})-", answer.headers.get("Content-Range").strip())
    return int(found[1]) if found else None


def length(answer: Response) -> int | None:
    """Returns Content-Length; None where there is none."""
    text = answer.headers.get("Content-Length").strip()
    return int(text) if re.fullmatch(r"\d{1,18}", text) else None
