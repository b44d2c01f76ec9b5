"""A bundle as one file, or as parts that are read as if they were one.

The parts of `FILE` are `FILE.001`, `FILE.002` and so on: `cat FILE.0*` is the whole. `FILE.sha256` has their hashes, as sha256sum writes
and checks them; where it is there, the parts are those that it names, and no others that lie beside them.
"""

from __future__ import annotations

import glob
import hashlib
import io
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

from modelcrate_layers.atomic import Incoming, incoming, write_file
from modelcrate_layers.content import CHUNK
from modelcrate_layers.errors import SourceError, UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.named_file import read_source
from modelcrate_layers.patterns import compile_later
from modelcrate_layers.store import as_machine_error
from modelcrate_layers.tar.sources import FileRange

MAX_PARTS = 999

LEAST_PART = 1 << 20
"""Bytes of a part, at least."""

_PART = compile_later(r"(.*)\.[0-9]{3}")
_SUM = compile_later(r"([0-9a-f]{64}) [ *]([^/\0]+)")


@dataclass(frozen=True, slots=True)
class Parts:
    """Files whose bytes follow each other. Each has to stay as it is while it is read."""

    files: tuple[FileRange, ...]

    @property
    def where(self) -> str:
        """The path of the first file."""
        return self.files[0].path

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(each.size for each in self.files)

    def chunks(self, offset: int, size: int) -> Iterator[bytes]:
        """Yields `size` bytes from `offset` on.

        Raises:
            SourceError: A file has changed, or can't be read.
        """
        for each in self.files:
            taken = min(size, each.size - offset)
            if taken > 0:
                yield from each._replace(offset=offset, size=taken).chunks()
                offset, size = offset + taken, size - taken
            offset -= each.size

    def open(self) -> io.BufferedReader:
        """Opens all of it for reading at any place."""
        return io.BufferedReader(_Joined(self), CHUNK)


class _Joined(io.RawIOBase):
    """Parts as one file. Not a value: it has a position."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._parts, self._at = parts, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._parts.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]  # a writable buffer, which typing can't say before 3.12
        wanted = max(0, min(len(view), self._parts.size - self._at))
        for chunk in self._parts.chunks(self._at, wanted):
            view[: len(chunk)] = chunk
            view = view[len(chunk) :]
        self._at += wanted
        return wanted


def find_parts(path: Path) -> Parts:
    """Returns the bundle at a path: one file, or all of its parts, any of which may be named.

    Raises:
        SourceError: There is none, or a part is missing.
    """
    if match := _PART.fullmatch(str(path)):
        path = Path(match[1])
    elif path.exists():
        return Parts((FileRange.of_file(str(path)),))
    there = sorted(path.parent.glob(f"{glob.escape(path.name)}.[0-9][0-9][0-9]"))
    if not there:
        raise SourceError("there is no such bundle", where=str(path), hint="name its file, or one of its parts")
    listed = _listed(path)
    wanted = sorted({*listed, *(_part(path, number + 1) for number in range(len(listed or there)))})
    if missing := [each.name for each in wanted if each not in there]:
        raise SourceError(
            f"parts of the bundle are missing: {', '.join(missing[:8])}",
            where=str(path),
            hint="put all parts into one folder",
        )
    return Parts(tuple(FileRange.of_file(str(each)) for each in wanted))


def write_parts(path: Path, chunks: Iterable[bytes], size: int) -> tuple[Path, ...]:
    """Writes parts and the file with their hashes: all of them, or none. Further parts of an earlier bundle of this name are removed.

    Args:
        path: What they are called after.
        chunks: The bytes of the whole.
        size: The bytes of a part.

    Returns:
        The paths of the parts.

    Raises:
        UserError: There would be too many, or a file of this name would be read instead of them.
        MachineError: One can't be written.
    """
    if path.exists():
        raise UserError(
            f"{path} is there, and would be read instead of its parts", hint="remove it, or name another file with -o"
        )
    folder, lines = path.absolute().parent, []
    earlier = set(_listed(path))  # only these: another file may have such a name
    with as_machine_error(path), ExitStack() as stack:
        files: list[Incoming] = []
        for part in _cut(chunks, size):
            if len(files) == MAX_PARTS:
                raise UserError(f"the bundle has more than {MAX_PARTS} parts", hint="name a larger size: --split 4GB")
            file, hashed = stack.enter_context(incoming(folder)), hashlib.sha256()
            for chunk in part:
                file.write(chunk)
                hashed.update(chunk)
            files.append(file)
            lines.append(f"{hashed.hexdigest()}  {_part(path, len(files)).name}\n")
        paths = tuple(_part(path, number + 1) for number in range(len(files)))
        for file, part_path in zip(files, paths, strict=True):
            file.keep(part_path)
        write_file(_sums(path), "".join(lines).encode())
        for number in range(len(files) + 1, MAX_PARTS + 1):
            if (left := _part(path, number)) in earlier:
                left.unlink(missing_ok=True)
    return paths


def _cut(chunks: Iterable[bytes], size: int) -> Iterator[Iterator[bytes]]:
    """Yields parts of `size` bytes, the last one shorter. Each has to be read to its end before the next."""
    source = iter(chunks)
    held = next(source, b"")

    def part() -> Iterator[bytes]:
        nonlocal held
        left = size
        while left and held:
            taken, held = held[:left], held[left:]
            left -= len(taken)
            yield taken
            held = held or next(source, b"")

    while held:
        yield part()


def _listed(path: Path) -> list[Path]:
    """Returns the parts that the file with the hashes names, if it is there. It may have the hashes of other files, too."""
    sums = _sums(path)
    if not sums.exists():
        return []
    text = read_source(sums).decode("utf-8", "replace")
    named = [match[2] for line in text.splitlines() if (match := _SUM.fullmatch(line))]
    return [path.parent / name for name in named if _PART.fullmatch(name)]


def _part(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number:03}")


def _sums(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")
