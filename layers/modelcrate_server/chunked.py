"""Chunked request bodies (RFC 9112, section 7.1), decoded piece by piece as they arrive."""

from __future__ import annotations

import re

MAX_LINE = 8190
"""The bytes of a line with a chunk's size, as in gunicorn."""

MAX_TRAILERS = 65536
"""The bytes of all trailer fields together; they are read and dropped."""

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[^\r\n]*)?\Z")
_TRAILER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[^\x00-\x08\x0a-\x1f\x7f]*\Z")
_NO_TRAILERS = frozenset({b"host", b"content-length", b"transfer-encoding", b"trailer", b"authorization", b"te"})
"""Fields that say how a message is read, and by whom (RFC 9110, section 6.5.1); gunicorn refuses the same."""


class ChunkError(ValueError):
    """The bytes are no chunked body; the text says what is wrong."""


class ChunkedBody:
    """The decoder of one body. `done` is true when the last chunk and the trailers were read."""

    def __init__(self) -> None:
        self.done = False
        self._left = 0  # bytes of the current chunk that are still to come
        self._ending = False  # the next bytes are the line break that ends a chunk
        self._trailers = -1  # bytes of trailers so far; -1 before the last chunk

    def decode(self, buffer: bytearray) -> bytes:
        """Removes the bytes that belong to the body from the buffer.

        Returns:
            The decoded data, which may be empty when more bytes are needed.

        Raises:
            ChunkError: The framing is malformed.
        """
        parts: list[bytes] = []
        while not self.done:
            if self._left:
                if not buffer:
                    break
                parts.append(bytes(buffer[: self._left]))
                del buffer[: self._left]
                self._left -= len(parts[-1])
                self._ending = not self._left
            elif self._ending:
                if len(buffer) < 2:
                    break
                if buffer[:2] != b"\r\n":
                    raise ChunkError("a chunk is longer than its size says")
                del buffer[:2]
                self._ending = False
            elif not self._read_line(buffer):
                break
        return b"".join(parts)

    def _read_line(self, buffer: bytearray) -> bool:
        end = buffer.find(b"\n")
        limit = MAX_LINE if self._trailers < 0 else MAX_TRAILERS - self._trailers
        if max(end, 0 if end >= 0 else len(buffer)) > limit:
            raise ChunkError("a line between the chunks is too long")
        if end < 0:
            return False
        line = bytes(buffer[: end + 1])
        del buffer[: end + 1]
        if not line.endswith(b"\r\n"):
            raise ChunkError("a line between the chunks does not end with CR LF")
        if self._trailers >= 0:
            self._trailers += len(line)
            self.done = line == b"\r\n"
            field = _TRAILER.match(line[:-2])
            if not self.done and (field is None or field[1].lower() in _NO_TRAILERS):
                raise ChunkError("what follows the last chunk is no trailer field")  # such as the next request
            return True
        size = _SIZE.match(line[:-2])
        if size is None:
            raise ChunkError("a chunk has no size")
        self._left = int(size[1], 16)
        self._trailers = -1 if self._left else 0
        return True
