"""What a file has that may name code, and where it stands: pickles, configurations and the names in archives. A place is a file or a part of one."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from typing import BinaryIO, TypeAlias, cast

from modelcrate.modelfiles.byte_reader import ByteReader
from modelcrate.modelfiles.pickle.findings import PickleFindings
from modelcrate.modelfiles.pickle.windows import Unpacked, Window, chunks_of
from modelcrate_layers.content import CHUNK
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass, replace

MAX_UNPACKED = 64 << 30
"""Bytes that one compressed stream may unpack to."""

MAX_SPOOLED = 8 << 30
"""Bytes of a compressed archive, which is unpacked to disk before it is read."""


@dataclass(frozen=True, slots=True)
class Found:
    """A pickle: its place in the file (empty: the file itself), and what was found in it."""

    inner: str
    findings: PickleFindings
    promised: bool = True
    """Whether the file is a pickle by its first bytes or its name; another file may only resemble one."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """A member of an archive that may name code by its bytes, as a configuration that is a file of its own."""

    inner: str
    data: bytes | None
    """None: more than MAX_CONFIG."""


@dataclass(frozen=True, slots=True)
class Members:
    """The names of what is in a tar that has programs or libraries."""

    inner: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip in something else. `file` is open, and in use: it is to be read at once."""

    inner: str
    file: BinaryIO


Content: TypeAlias = Found | Configuration | Members | Archive


@dataclass(frozen=True, slots=True)
class Place:
    """A file, or a part of one. `seekable`: going to its end costs nothing. `member`: an archive has it, as a file of its own."""

    file: BinaryIO
    name: str
    inner: str = ""
    depth: int = 0
    seekable: bool = True
    member: bool = False

    def head(self, size: int) -> bytes:
        """Returns its first bytes, `size` at most."""
        self.file.seek(0)
        return self.file.read(size) or b""

    def tape(self) -> ByteReader:
        """Returns a reader at its beginning."""
        self.file.seek(0)
        return ByteReader(self.file, None if self.seekable else MAX_UNPACKED)

    def broken(self, what: str) -> Found:
        """Returns a finding with a fault."""
        return Found(self.inner, PickleFindings((), False, (what,)))

    def window(self, start: int, size: int, name: str = "") -> Place:
        """Returns a range of this file; with a name, a member of it."""
        file = io.BufferedReader(Window(self.file, start, size), 1 << 16)
        if not name:
            return replace(self, file=file)
        return Place(file, name, f"{self.inner}/{name}" if self.inner else name, self.depth + 1, True, True)

    def unpacked(self, unpack: Callable[[Iterator[bytes]], Iterator[bytes]]) -> Place:
        """Returns the output of a decompressor for this file."""
        file = io.BufferedReader(Unpacked(lambda: unpack(chunks_of(self.file))), 1 << 16)
        return replace(self, file=file, depth=self.depth + 1, seekable=False, member=False)

    def solid(self) -> Place:
        """Returns the same as a file in which every place can be reached; what a decompressor yields is written to a nameless file first.

        Raises:
            IntegrityError: That are more bytes than MAX_SPOOLED.
        """
        self.file.seek(0)
        if self.seekable:
            return self
        copy = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - it is closed with the last window on it
        while piece := self.file.read(CHUNK):
            if copy.tell() > MAX_SPOOLED:
                raise IntegrityError(f"holds an archive of more than {MAX_SPOOLED >> 30} GiB in a compressed stream")
            copy.write(piece)
        copy.seek(0)
        return replace(self, file=copy, seekable=True)
