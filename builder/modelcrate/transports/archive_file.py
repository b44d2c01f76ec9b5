"""Writing an archive: into a file at several places at once, or as a stream into a pipe, a device or standard output.

A member's header names the digest of the bytes behind it, and so do the documents at the beginning. But all of them have a length that follows
from the lengths of the layers. So a file has room for a layer before it is made (`reserve`), the layer's tar is written there while it is
measured, and what names it is written last. Where the image is not the one that the room was made for, the file is begun anew: what is
written is decided by the image alone.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from modelcrate.transports import STDOUT
from modelcrate.transports.archive import BlobSource
from modelcrate_layers.atomic import Incoming, incoming, write_all
from modelcrate_layers.content import CHUNK, Digest
from modelcrate_layers.errors import MachineError
from modelcrate_layers.store import as_machine_error
from modelcrate_layers.tar import writer
from modelcrate_layers.tar.sources import ZEROS
from modelcrate_layers.tar.tree import Entry
from modelcrate_layers.tar.writer import Member

AT_ONCE = 4
"""Members that are written at once, where there are as many processors: each holds some chunks of its blob."""


class Place:
    """Room for one blob in an archive that is being written. It is no value: it is a part of an open file."""

    def __init__(self, file: ArchiveFile, at: int, size: int) -> None:
        self._file, self._at, self._size = file, at, size
        self._passed = 0

    def take(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yields the chunks, and writes each of them."""
        self._file.taken[self._at] = None
        for chunk in chunks:
            if self._passed + len(chunk) <= self._size:
                self._file.put(chunk, self._at + self._passed)
            self._passed += len(chunk)
            yield chunk

    def name(self, digest: Digest) -> None:
        """Says which digest all that has passed has."""
        if self._passed == self._size:
            self._file.taken[self._at] = digest


class ArchiveFile:
    """A tar that is being written. It has no name before `write`. It is no value: it is an open file."""

    def __init__(self, path: Path, file: Incoming) -> None:
        self._path, self._file = path, file
        self.taken: dict[int, Digest | None] = {}
        """Where blobs are that were written to their places, with their digests once these are known."""

    def reserve(self, entries: Iterable[Entry]) -> dict[Digest, Place]:
        """Returns the places that blobs will have in an archive with these members, by their digests. Nothing is read."""
        members, _ = writer.lay_out(entries)
        return {
            each.entry.source.blob.descriptor.digest: Place(self, each.at, each.entry.size)
            for each in members
            if isinstance(each.entry.source, BlobSource)
        }

    def put(self, chunk: bytes, at: int) -> None:
        """Writes bytes at a place. A hole is left as it is."""
        if chunk is not ZEROS:
            with as_machine_error(self._path):
                self._file.put(chunk, at)

    def write(self, entries: Iterable[Entry]) -> int:
        """Writes the archive, but for the blobs that are in it already, and gives it its name.

        Returns:
            The size of the archive in bytes.

        Raises:
            MachineError: The file can't be written.
        """
        members, size = writer.lay_out(entries)
        digests = {each.at: _digest(each) for each in members}
        if any(digest is None or digests.get(at) != digest for at, digest in self.taken.items()):
            self.clear()
        with as_machine_error(self._path):
            for each in members:
                self.put(each.header, each.at - len(each.header))
            self._fill([each for each in members if each.at not in self.taken])
            self._file.cut(size)
            self._file.keep(self._path)
        return size

    def clear(self) -> None:
        """Forgets all that was written."""
        with as_machine_error(self._path):
            self._file.cut(0)
        self.taken.clear()

    def _fill(self, members: Sequence[Member]) -> None:
        """Writes the contents of members, the large ones several at once."""
        large = sorted((each for each in members if each.entry.size > CHUNK), key=lambda each: -each.entry.size)
        stop = threading.Event()
        for each in members:
            if each.entry.size <= CHUNK or len(large) == 1:
                self._copy(each, stop)
        if len(large) > 1:
            from concurrent.futures import ThreadPoolExecutor, as_completed

            with ThreadPoolExecutor(min(AT_ONCE, os.cpu_count() or 1), "archive") as pool:
                try:
                    for done in as_completed([pool.submit(self._copy, each, stop) for each in large]):
                        done.result()
                finally:
                    stop.set()

    def _copy(self, member: Member, stop: threading.Event) -> None:
        """Writes the contents of a member, until `stop` is set: then another one has failed."""
        source, at = member.entry.source, member.at
        for chunk in source.chunks() if source is not None else ():
            if stop.is_set():
                return
            self.put(chunk, at)
            at += len(chunk)


@contextmanager
def open_file(target: str) -> Iterator[ArchiveFile | None]:
    """Opens an archive for writing. None where it is written as a stream: standard output, a pipe or a device.

    Raises:
        MachineError: There can't be a file.
    """
    path = Path(target)
    with ExitStack() as stack:
        with as_machine_error(path):
            streamed = target == STDOUT or (path.exists() and not path.is_file())
            file = None if streamed else stack.enter_context(incoming(path.absolute().parent))
        yield None if file is None else ArchiveFile(path, file)


def write(target: str, entries: Iterable[Entry]) -> int:
    """Writes an archive, completely or not at all.

    Args:
        target: The path of the file; `-` is standard output.
        entries: The members.

    Returns:
        The size of the archive in bytes.

    Raises:
        MachineError: The file can't be written, or the reader of standard output has closed it.
    """
    with open_file(target) as file:
        return file.write(entries) if file is not None else stream(target, entries)


def stream(target: str, entries: Iterable[Entry]) -> int:
    """Writes an archive into a pipe, a device or standard output. Returns and raises what `write` does."""
    chunks = writer.stream(entries)
    if target == STDOUT:
        try:
            return _write_chunks(chunks, sys.stdout.fileno())
        except BrokenPipeError:
            raise MachineError("was closed before the archive had ended", where="standard output") from None
    with as_machine_error(target), open(target, "wb", buffering=0) as out:  # it can't be replaced by renaming a file
        return _write_chunks(chunks, out.fileno())


def _write_chunks(chunks: Iterable[bytes], handle: int) -> int:
    size = 0
    for chunk in chunks:
        write_all(handle, chunk)
        size += len(chunk)
    return size


def _digest(member: Member) -> Digest | None:
    source = member.entry.source
    return source.blob.descriptor.digest if isinstance(source, BlobSource) else None
