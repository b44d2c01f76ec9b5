"""The bytes of an upload: a blob with a known digest, or a stream whose digest is known after it was read.

Both can be opened again at any offset. A `Reader` does not open its source again while it is read in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from modelcrate_layers.content import Blob, Descriptor, Digest
from modelcrate_layers.errors import SourceError
from modelcrate_layers.frozen import dataclass


class Stream(Protocol):
    """A layer that is hashed while it is sent. Each iteration starts from the first byte."""

    @property
    def length(self) -> int | None:
        """The size in bytes, if it is known in advance (from stat)."""
        ...

    @property
    def key(self) -> str | None:
        """A name that is the same in later runs (the recipe's digest), so that they can continue the upload; None for none."""
        ...

    @property
    def label(self) -> str:
        """The layer in words, for messages; empty for none."""
        ...

    @property
    def descriptor(self) -> Descriptor:
        """The layer's descriptor. It is valid only after an iteration reached its end."""
        ...

    def __iter__(self) -> Iterator[bytes]: ...


class Source(Protocol):
    """The bytes of an upload."""

    @property
    def length(self) -> int | None:
        """The size in bytes; None where it is not known in advance."""
        ...

    @property
    def name(self) -> str:
        """The name for messages."""
        ...

    @property
    def key(self) -> str | None:
        """The name in the journal; None where a later run can't continue the upload."""
        ...

    @property
    def known(self) -> Digest | None:
        """The digest, where it is known in advance."""
        ...

    def digest(self) -> Digest:
        """Returns the digest. Call it only after the last byte was read."""
        ...

    def open(self, start: int) -> Iterator[bytes]:
        """Returns the bytes from `start`, in chunks."""
        ...


@dataclass(frozen=True, slots=True)
class KnownBlob:
    """A blob whose descriptor is known."""

    blob: Blob
    descriptor: Descriptor

    @property
    def length(self) -> int:
        """The size in bytes."""
        return self.descriptor.size

    @property
    def name(self) -> str:
        """The digest as text."""
        return str(self.descriptor.digest)

    @property
    def key(self) -> str:
        """The name in the journal: the digest."""
        return self.name

    @property
    def known(self) -> Digest:
        """The digest."""
        return self.descriptor.digest

    def digest(self) -> Digest:
        """Returns the blob's digest."""
        return self.descriptor.digest

    def open(self, start: int) -> Iterator[bytes]:
        """Returns the bytes from `start`."""
        return self.blob.chunks(start)


@dataclass(frozen=True, slots=True)
class UnhashedStream:
    """A stream. It is always read from its first byte, because its digest comes from all of its bytes."""

    stream: Stream

    @property
    def length(self) -> int | None:
        """The size in bytes; None where it is not known in advance."""
        return self.stream.length

    @property
    def name(self) -> str:
        """The name for messages."""
        return self.stream.label or "a layer that is hashed while it is sent"

    @property
    def key(self) -> str | None:
        """The stream's name in the journal; None where a later run can't continue the upload."""
        return self.stream.key

    @property
    def known(self) -> None:
        """None: the digest is not known before all bytes were read."""
        return None

    def digest(self) -> Digest:
        """Returns the digest. Call it only after the last byte was read."""
        return self.stream.descriptor.digest

    def open(self, start: int) -> Iterator[bytes]:
        """Yields the bytes from `start`; those before it are read and dropped."""
        left = start
        for chunk in self.stream:
            if left >= len(chunk):
                left -= len(chunk)
                continue
            yield chunk[left:] if left else chunk
            left = 0
        if left:
            raise SourceError("a layer became shorter while it was sent", where=self.name)


class Reader:
    """One pass over a source, taken in parts. Going back opens the source again. Reading changes it."""

    def __init__(self, source: Source, check: Callable[[], None]) -> None:
        self._source, self._check = source, check
        self._pieces: Iterator[bytes] | None = None
        self._rest = b""
        self._at = 0
        self.ended = False

    def take(self, offset: int, size: int | None) -> Iterator[bytes]:
        """Yields `size` bytes from `offset`, or all that are left.

        After the last byte the source is read to its end, because a verified stream raises its error there.

        Raises:
            SourceError: The source became shorter or longer while it was sent.
        """
        self._seek(offset)
        left = size
        while left is None or left > 0:
            self._check()
            chunk = self._next()
            if chunk is None:
                break
            if left is not None and len(chunk) > left:
                chunk, self._rest = chunk[:left], chunk[left:]
            self._at += len(chunk)
            left = left - len(chunk) if left is not None else None
            yield chunk
        self._at_end(left)

    def _seek(self, offset: int) -> None:
        if self._pieces is None or self._at != offset:
            self._pieces, self._rest, self._at = self._source.open(offset), b"", offset

    def _next(self) -> bytes | None:
        if self._rest:
            chunk, self._rest = self._rest, b""
            return chunk
        return next(self._pieces, None) if self._pieces is not None else None

    def _at_end(self, left: int | None) -> None:
        length = self._source.length
        if left:
            why = f"{left} bytes are missing before byte {self._at + left}"
            raise SourceError("a layer became shorter while it was sent", where=self._source.name, why=why)
        if length is not None and self._at == length:
            if self._next():
                raise SourceError("a layer grew while it was sent", where=self._source.name, why=f"over {length} bytes")
            self._pieces = None
            self.ended = True


@dataclass(frozen=True, slots=True)
class Part:
    """Some bytes of a source as the body of a request. `moved` is called with the offset after each chunk."""

    reader: Reader
    offset: int
    length: int | None
    moved: Callable[[int], None]

    def chunks(self) -> Iterator[bytes]:
        """Yields the bytes."""
        at = self.offset
        for chunk in self.reader.take(self.offset, self.length):
            yield chunk
            at += len(chunk)
            self.moved(at)
