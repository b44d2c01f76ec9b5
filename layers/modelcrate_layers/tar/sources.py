"""Where the bytes of an entry come from: a literal, a range of a file, a member of a zip.

A source has its size without reading. Files carry a stamp, taken when they were listed: a file that changed since then is
named in a SourceError, before a wrong byte can be published.
"""

from __future__ import annotations

import base64
import hashlib
import os
import stat
import struct
from collections.abc import Iterator
from typing import Protocol

from modelcrate_layers import host
from modelcrate_layers.content import CHUNK
from modelcrate_layers.errors import IntegrityError, SourceError, unreadable
from modelcrate_layers.frozen import NamedTuple, dataclass
from modelcrate_layers.tar.codec import crc32, inflate

STORED, DEFLATED = 0, 8
_LOCAL = struct.Struct("<4s5H3I2H")
_BYTES_OF_A_LETTER = 4
"""Bytes of a letter in UTF-8, at most."""

ZEROS = bytes(CHUNK)
"""A piece of a hole. It is the one object for all of them, so that who writes a file can leave a hole as well."""


class Source(Protocol):
    """Bytes of one entry."""

    @property
    def size(self) -> int:
        """How many bytes `chunks()` gives, exactly."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """Yields the bytes, in pieces of at most CHUNK; a SourceError or IntegrityError if they are not what was listed."""
        ...


@dataclass(frozen=True, slots=True)
class Bytes:
    """Bytes at hand."""

    data: bytes

    @property
    def size(self) -> int:
        """The number of bytes."""
        return len(self.data)

    def chunks(self) -> Iterator[bytes]:
        """Yields the bytes, in pieces of at most CHUNK."""
        for start in range(0, len(self.data), CHUNK):
            yield self.data[start : start + CHUNK]


class Stamp(NamedTuple):
    """The state of a file; as long as it is equal, the bytes are taken to be the same (as Git's index does).

    A named tuple, as are file ranges and entries: a layer has ten thousands of them, and they are made in a third of the time.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """Returns the stamp in the result of `os.stat`."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class FileRange(NamedTuple):
    """`size` bytes of a regular file, from `offset` on. The whole file must still have its `stamp` when they have been read."""

    path: str
    stamp: Stamp
    offset: int
    size: int

    @classmethod
    def of_file(cls, path: str) -> FileRange:
        """Returns all of a file as it is now; anything but a regular file is a SourceError."""
        try:
            status = host.file_status(path)
        except OSError as fault:
            raise unreadable(fault, path) from None
        if not stat.S_ISREG(status.st_mode):
            raise SourceError("is not a regular file", where=path)
        return cls(path, Stamp.of(status), 0, status.st_size)

    def chunks(self) -> Iterator[bytes]:
        """Yields the bytes, in pieces of at most CHUNK; a SourceError if the file has changed."""
        return self._pieces() if self.size > CHUNK else iter((self._whole(),))

    def _whole(self) -> bytes:
        """All of it at once: most files are small, and most of what they cost is the way there."""
        handle = self._open()
        try:
            data = host.pread(handle, self.size, self.offset)
            self._complete(handle, self.size - len(data))
        except OSError as fault:
            raise unreadable(fault, self.path) from None
        finally:
            os.close(handle)
        return data

    def _pieces(self) -> Iterator[bytes]:
        handle = self._open()
        try:
            left = self.size
            for chunk in read_pieces(handle, self.offset, self.size):
                left -= len(chunk)
                if not left:
                    self._complete(handle, left)  # before the last bytes are handed over: a stream that ends is right
                yield chunk
            if left:
                self._complete(handle, left)
        except OSError as fault:
            raise unreadable(fault, self.path) from None
        finally:
            os.close(handle)

    def _open(self) -> int:
        return _open(self.path)

    def _complete(self, handle: int, lacking: int) -> None:
        """All bytes were read, and of the file that was listed."""
        self._unchanged(handle)
        if lacking:
            raise SourceError(f"ends {lacking} bytes too early", where=self.path)

    def _unchanged(self, handle: int) -> None:
        check_stamp(handle, self.stamp, self.path)


class UnfetchedFile(FileRange):
    """A file of which a machine has the beginning alone. It can be planned with, by its size, and never packed."""

    __slots__ = ()

    def chunks(self) -> Iterator[bytes]:
        """Raises a SourceError: the bytes are somewhere else."""
        raise SourceError("is not fetched yet", where=self.path)


def _open(path: str) -> int:
    try:
        return os.open(path, host.READ)
    except OSError as fault:
        raise SourceError(f"can't be read any more: {fault.strerror}", where=path) from None


def check_stamp(handle: int, then: Stamp, path: str) -> None:
    """Raises a SourceError, unless an open file still has the stamp that it was listed with."""
    status = os.fstat(handle)
    same_times = status.st_mtime_ns == then.mtime_ns and status.st_ctime_ns == then.ctime_ns
    if same_times and status.st_size == then.size and status.st_ino == then.inode:
        return  # the quick way for the usual case
    now = Stamp.of(status)
    if now != then:
        how = f"{then.size} bytes then, {now.size} now" if now.size != then.size else "same size, other content"
        raise SourceError(
            f"changed while it was being packed ({how})", where=path, hint="build again when nothing writes to it"
        )


@dataclass(frozen=True, slots=True)
class ZipMember:
    """One member of a zip file (a wheel), found by the offset of its local header (APPNOTE.TXT 4.3.7).

    The file must still have its `stamp` when the member has been read, and the bytes must have the CRC and the `hash` that a wheel's RECORD
    has for them (`sha256=...`), where it has one.
    """

    path: str
    stamp: Stamp
    name: str
    offset: int
    method: int
    packed: int
    size: int
    crc: int
    hash: str = ""

    def chunks(self) -> Iterator[bytes]:
        """Yields the unpacked bytes; an IntegrityError if they don't match the recorded size and checksums."""
        crc, size = 0, 0
        algorithm, _, recorded = self.hash.partition("=")
        hashed = hashlib.new(algorithm, usedforsecurity=False) if recorded else None
        for chunk in self._inflated():
            size += len(chunk)
            if size > self.size:
                break
            crc = crc32(chunk, crc)
            if hashed is not None:
                hashed.update(chunk)
            yield chunk
        if size != self.size or crc != self.crc:
            raise IntegrityError(
                f"{self.name} is damaged: its size or checksum is not what the archive says", where=self.path
            )
        if hashed is not None and base64.urlsafe_b64encode(hashed.digest()).rstrip(b"=") != recorded.encode():
            raise IntegrityError(
                f"{self.name} is not the file that the wheel's RECORD lists",
                where=self.path,
                hint="the wheel was changed after it was made: fetch or build it again",
            )

    @property
    def deflated(self) -> bool:
        """Whether it stands in the archive as a deflate stream."""
        return self.method == DEFLATED

    def _inflated(self) -> Iterator[bytes]:
        return inflate(self.packed_chunks(), self.name, self.path) if self.deflated else self.packed_chunks()

    def packed_chunks(self) -> Iterator[bytes]:
        """Yields the bytes as they stand in the archive, in pieces of at most CHUNK; a SourceError if the file has changed."""
        handle = _open(self.path)
        try:
            head = host.pread(handle, _LOCAL.size + _BYTES_OF_A_LETTER * len(self.name), self.offset)
            if len(head) < _LOCAL.size or not head.startswith(b"PK\x03\x04"):
                check_stamp(handle, self.stamp, self.path)
                raise IntegrityError(f"{self.name} is not where the archive says", where=self.path)
            named, more = _LOCAL.unpack_from(head)[-2:]
            if head[_LOCAL.size : _LOCAL.size + named] not in (
                self.name.encode(),
                self.name.encode("cp437", "replace"),
            ):
                check_stamp(handle, self.stamp, self.path)
                raise IntegrityError(f"{self.name} has another name where its bytes begin", where=self.path)
            at, left = self.offset + _LOCAL.size + named + more, self.packed
            while left:
                chunk = host.pread(handle, min(left, CHUNK), at)
                if not chunk:
                    raise IntegrityError("is cut short", where=self.path)
                at, left = at + len(chunk), left - len(chunk)
                if not left:
                    check_stamp(handle, self.stamp, self.path)
                yield chunk
        except OSError as fault:
            raise unreadable(fault, self.path) from None
        finally:
            os.close(handle)


def read(source: Source) -> bytes:
    """Returns all bytes of a source that is known to be small."""
    return b"".join(source.chunks())


def sha256(source: Source) -> str:
    """Returns the SHA-256 of a source's bytes, in hex."""
    hashed = hashlib.sha256()
    for chunk in source.chunks():
        hashed.update(chunk)
    return hashed.hexdigest()


def read_pieces(handle: int, start: int, size: int) -> Iterator[bytes]:
    """Yields the bytes of an open file, in pieces of CHUNK and a rest. They end early where the file does.

    Holes, which are zeros, are not read. The pieces begin where those of a file without holes do.

    Args:
        handle: The open file. Its place for reading may be moved.
        start: The first byte.
        size: How many bytes.

    Raises:
        OSError: It can't be read.
    """
    status = os.fstat(handle)
    at, end = start, min(start + size, status.st_size)
    data = at  # where the next data begin
    asked = at if host.may_have_holes(status) else end  # up to where is known what is data
    while at < end:
        if at >= asked:
            data, asked = host.next_data(handle, at, end)
        length = min(CHUNK, end - at)
        if at + length <= data:
            chunk = ZEROS if length == CHUNK else ZEROS[:length]
        elif not (chunk := host.pread(handle, length, at)):
            return
        at += len(chunk)
        yield chunk
