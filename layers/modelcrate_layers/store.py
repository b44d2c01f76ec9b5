"""Blobs by digest in a folder that is an OCI image layout (image-spec image-layout.md): our own store, and any other layout.

A blob is written beside, synced and renamed: under its digest there is either all of it or nothing. Any number of processes may
work on one folder; only the index needs a lock, and it is held for as long as it takes to write a page of JSON.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from modelcrate_layers import host
from modelcrate_layers.atomic import Incoming, file_lock, incoming, remove, write_file
from modelcrate_layers.content import (
    CHUNK,
    MAX_JSON,
    Descriptor,
    Digest,
    MediaType,
    canonical_json,
    parse_object,
    verified,
)
from modelcrate_layers.errors import IntegrityError, MachineError, SourceError, placed, unreadable
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.records import read_record, write_record
from modelcrate_layers.tar.sources import ZEROS, FileRange, read_pieces

LAYOUT_VERSION = canonical_json({"imageLayoutVersion": "1.0.0"})
REF_NAME = "org.opencontainers.image.ref.name"


@dataclass(frozen=True, slots=True)
class FileBlob:
    """A blob that is `descriptor.size` bytes of a file, from `offset` on."""

    path: Path
    descriptor: Descriptor
    offset: int = 0

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """Yields the bytes from `start` to the end. A stream from 0 is verified."""
        chunks = self._read(start)
        return chunks if start else verified(chunks, self.descriptor, str(self.path))

    def _read(self, start: int) -> Iterator[bytes]:
        with _open_regular(self.path) as handle:
            yield from read_pieces(handle, self.offset + start, self.descriptor.size - start)


@dataclass(frozen=True, slots=True)
class Layout:
    """An OCI image layout. `create` makes one, or takes what is there; `open` takes only what is there.

    `records` is a folder that remembers which blobs were hashed (see `records`); only our own store has one.
    """

    root: Path
    records: Path | None = field(default=None, compare=False, repr=False)

    @classmethod
    def create(cls, root: Path, records: Path | None = None) -> Layout:
        """Returns the layout in a folder, which is made where it is missing."""
        with as_machine_error(root):
            (root / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
            if not (root / "oci-layout").exists():
                write_file(root / "oci-layout", LAYOUT_VERSION)
        return cls(root, records)

    @classmethod
    def open(cls, root: Path) -> Layout:
        """Opens a layout that exists; a SourceError where there is none."""
        try:
            version = parse_object(_read_small(root / "oci-layout"), str(root / "oci-layout"))
        except SourceError:
            raise SourceError("is not an OCI image layout: it has no file oci-layout", where=str(root)) from None
        if version.get("imageLayoutVersion") != "1.0.0":
            raise IntegrityError("has an unknown layout version", where=str(root / "oci-layout"))
        return cls(root)

    def path(self, digest: Digest) -> Path:
        """Returns where a blob is, or would be."""
        return self.root.joinpath("blobs", digest.algorithm, digest.hex)

    def has(self, descriptor: Descriptor) -> bool:
        """Returns whether the blob is there with the right size. Its bytes are checked when they are read, and by `intact`."""
        try:
            status = os.lstat(self.path(descriptor.digest))
        except OSError:
            return False
        return stat.S_ISREG(status.st_mode) and status.st_size == descriptor.size

    def intact(self, descriptor: Descriptor) -> bool:
        """Returns whether the blob is there with the right bytes. A damaged one is removed, so that it can be made or fetched again.

        A blob is hashed once, and again when its file has another stamp; one that was written here was hashed on its way.
        """
        path = self.path(descriptor.digest)
        if not self.has(descriptor):
            with as_machine_error(path):
                remove(path)
            return False
        stamp = _stamp(path)
        if self.records is None or read_record(self.records, descriptor.digest.hex) != stamp:
            try:
                for _ in FileBlob(path, descriptor).chunks():
                    pass
            except IntegrityError:
                with as_machine_error(path):
                    remove(path)
                return False
            self._remember(descriptor.digest, stamp)
        return True

    def blob(self, descriptor: Descriptor) -> FileBlob:
        """Returns a blob that is there. In our own store it is intact; elsewhere that is found when it is read.

        Raises:
            IntegrityError: It is not there, or is damaged.
        """
        if not self.has(descriptor):
            raise IntegrityError(f"has no blob {descriptor.digest} of {descriptor.size} bytes", where=str(self.root))
        path = self.path(descriptor.digest)
        if self.records is not None and not self.intact(descriptor):
            raise IntegrityError(
                f"the blob {descriptor.digest} was damaged and is removed",
                where=str(path),
                hint="build or pull the image again that it belongs to",
            )
        return FileBlob(path, descriptor)

    def read(self, descriptor: Descriptor) -> bytes:
        """Reads a small blob, verified."""
        if descriptor.size > MAX_JSON:
            raise IntegrityError(
                f"a document of {descriptor.size} bytes; the limit is {MAX_JSON}", where=str(self.root)
            )
        return b"".join(self.blob(descriptor).chunks())

    def add(self, chunks: Iterable[bytes], descriptor: Descriptor) -> int:
        """Stores these bytes, which must match the descriptor. Returns how many were written; 0 if they were stored before."""
        with self.adding() as adding:
            return adding.add(chunks, descriptor)

    @contextmanager
    def adding(self) -> Iterator[Adding]:
        """Keeps several blobs, all of them or none: the block adds them one by one, and they get their names when it ends."""
        with ExitStack() as stack:
            adding = Adding(self, stack)
            yield adding
            adding.keep()

    def take(self, chunks: Iterable[bytes], named: Callable[[], Descriptor]) -> Descriptor:
        """Keeps bytes whose descriptor is known only when they have passed: `named` returns it then."""
        with self.adding() as adding:
            descriptor = adding.take(chunks, named)
            adding.want(descriptor)
        return descriptor

    def index(self) -> dict[str, Any]:
        """Reads index.json; returns an empty one where there is none."""
        path = self.root / "index.json"
        if not path.exists():
            return {"schemaVersion": 2, "mediaType": MediaType.INDEX, "manifests": []}
        index = parse_object(_read_small(path), str(path))
        if not isinstance(index.get("manifests"), list):
            raise IntegrityError("is not an index: it has no list of manifests", where=str(path))
        return index

    def manifests(self) -> list[Descriptor]:
        """Returns what the index names, in its order."""
        with placed(str(self.root / "index.json")):
            return [Descriptor.parse(each) for each in self.index()["manifests"]]

    def named(self) -> dict[str, Any]:
        """Returns the entries of the index that have a tag, by it. They are not parsed: an index may have thousands, of which one is wanted."""
        with placed(str(self.root / "index.json")):
            return {tag: each for each in self.index()["manifests"] if (tag := _tag(each))}

    def name(self, descriptor: Descriptor, tag: str | None) -> None:
        """Puts a manifest into the index, under a tag if there is one; what had the tag loses it."""
        with self._locked():
            index = self.index()
            entry = descriptor.json()
            if tag is not None:
                entry["annotations"] = {**entry.get("annotations", {}), REF_NAME: tag}
            kept = [other for other in index["manifests"] if not _replaced(other, entry, tag)]
            index["manifests"] = [*kept, entry]
            write_file(self.root / "index.json", canonical_json(index))

    def forget(self, tags: Collection[str]) -> None:
        """Removes these names from the index. The blobs stay where they are."""
        with self._locked():
            index = self.index()
            index["manifests"] = [
                each for each in index["manifests"] if (each.get("annotations") or {}).get(REF_NAME) not in tags
            ]
            write_file(self.root / "index.json", canonical_json(index))

    @contextmanager
    def incoming(self) -> Iterator[Incoming]:
        """Opens a blob for writing. It has no name before `keep`."""
        with as_machine_error(self.root), incoming(self.root.joinpath("blobs", "sha256")) as file:
            yield file

    def keep(self, file: Incoming, digest: Digest) -> None:
        """Names a blob that is complete by its digest."""
        path = self.path(digest)
        if digest.algorithm != "sha256":
            path.parent.mkdir(exist_ok=True)
        file.keep(path)
        self._remember(digest, _stamp(path))

    def _remember(self, digest: Digest, stamp: bytes) -> None:
        if self.records is not None:
            with suppress(OSError):
                write_record(self.records, digest.hex, stamp)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with as_machine_error(self.root), file_lock(self.root / ".lock"):
            yield


class Adding:
    """Blobs on their way into a layout, without a name before `keep`. Not a value: it is the files that are open.

    Threads may take at the same time.
    """

    def __init__(self, layout: Layout, stack: ExitStack) -> None:
        self._layout, self._stack = layout, stack
        self._taken: dict[Digest, Incoming] = {}
        self._complete: list[tuple[Incoming, Digest]] = []

    def add(self, chunks: Iterable[bytes], descriptor: Descriptor) -> int:
        """Writes these bytes, which must match the descriptor, unless they are stored already. Returns how many were written."""
        if self.want(descriptor):
            return descriptor.size
        layout = self._layout
        if layout.has(descriptor) if layout.records is None else layout.intact(descriptor):
            return 0
        self._write(verified(chunks, descriptor), lambda: descriptor)
        self.want(descriptor)
        return descriptor.size

    def take(self, chunks: Iterable[bytes], named: Callable[[], Descriptor]) -> Descriptor:
        """Writes bytes whose descriptor is known only when they have passed: `named` returns it then. They are kept if they are wanted."""
        return self._write(chunks, named)

    def want(self, descriptor: Descriptor) -> bool:
        """Returns whether the blob was taken here; it will be kept then."""
        file = self._taken.pop(descriptor.digest, None)
        if file is None:
            return False
        self._complete.append((file, descriptor.digest))
        return True

    def keep(self) -> None:
        """Gives what was added its names."""
        while self._complete:
            self._layout.keep(*self._complete.pop())

    def _write(self, chunks: Iterable[bytes], named: Callable[[], Descriptor]) -> Descriptor:
        file = self._stack.enter_context(self._layout.incoming())
        for chunk in chunks:
            if chunk is ZEROS:
                file.skip(len(chunk))
            else:
                file.write(chunk)
        descriptor = named()
        self._taken[descriptor.digest] = file
        return descriptor


@contextmanager
def as_machine_error(where: Path | str, what: str = "can't be written") -> Iterator[None]:
    """Raises what the operating system refuses inside as a MachineError about this place; `what` says what can't be done."""
    try:
        yield
    except OSError as fault:
        full = fault.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "free some space, or choose another place" if full else ""
        raise MachineError(f"{what}: {fault.strerror}", where=str(where), hint=hint) from fault


def _stamp(path: Path) -> bytes:
    return canonical_json(list(FileRange.of_file(str(path)).stamp))


def _tag(entry: Any) -> str:
    notes = entry.get("annotations") or {} if isinstance(entry, dict) else None
    if not isinstance(notes, dict) or not isinstance(tag := notes.get(REF_NAME, ""), str):
        raise IntegrityError(f"has an entry that is no descriptor: {entry!r:.80}")
    return tag


def _replaced(other: dict[str, Any], entry: dict[str, Any], tag: str | None) -> bool:
    named = (other.get("annotations") or {}).get(REF_NAME)
    return (tag is not None and named == tag) or (named is None and other.get("digest") == entry["digest"])


def _read_small(path: Path) -> bytes:
    with _open_regular(path) as handle:
        data = b""
        while chunk := os.read(handle, CHUNK):
            data += chunk
            if len(data) > MAX_JSON:
                raise IntegrityError(f"is larger than {MAX_JSON} bytes", where=str(path))
    return data


@contextmanager
def _open_regular(path: Path) -> Iterator[int]:
    """A file that is no link, no pipe, no device: a layout may come from anybody."""
    try:
        handle = host.open_unfollowed(path)
    except OSError as fault:
        raise unreadable(fault, path) from None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise SourceError("is not a regular file", where=str(path))
        yield handle
    finally:
        os.close(handle)
