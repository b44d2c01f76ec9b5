"""What an ELF file says to the dynamic linker: its name, the libraries that it needs, and the versions of symbols.

System V ABI, "Dynamic Section", and the GNU extension for symbol versions (Linux Standard Base Core 5.0, 10.7). Only 64-bit little-endian
files are read: those of the architectures that images are for.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import IO

from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass, field

MAX_HEADERS = 512
"""Program headers that are read; usual files have about ten."""

MAX_DYNAMIC = 4096
"""Entries of a dynamic section that are read; the largest have some hundred."""

MAX_NAMES = 16 << 20
"""Bytes of a table of names."""

MAX_NAME = 4096
"""Bytes of one name, as long as a path may be."""

MAX_VERSIONS = 10_000
"""Versions of symbols of one file, and libraries that it needs some of; glibc has about 40."""

_MAGIC = b"\x7fELF\x02\x01"
_LOAD, _DYNAMIC = 1, 2
_NEEDED, _NAMES, _NAMES_SIZE, _SONAME = 1, 5, 10, 14
_GIVES, _GIVES_COUNT, _WANTS, _WANTS_COUNT = 0x6FFFFFFC, 0x6FFFFFFD, 0x6FFFFFFE, 0x6FFFFFFF
_BASE, _WEAK = 1, 2
"""A definition that is the file's own name; a version that may be missing."""


@dataclass(frozen=True, slots=True)
class Elf:
    """What a file says to the dynamic linker.

    Attributes:
        name: Its own name (DT_SONAME); empty if it has none.
        needed: The names of the libraries that it needs.
        wants: The versions of symbols that it needs, by library.
        gives: The versions of symbols that it defines.
    """

    name: str = ""
    needed: tuple[str, ...] = ()
    wants: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    gives: tuple[str, ...] = ()


def read_elf(file: IO[bytes]) -> Elf | None:
    """Reads the dynamic section of a file; None for one that is no 64-bit little-endian ELF file, or is linked statically.

    Raises:
        IntegrityError: Its headers contradict each other.
    """
    file.seek(0)
    head = file.read(64)
    if not head.startswith(_MAGIC) or len(head) < 64:
        return None
    try:
        return _read(file, head)
    except (struct.error, ValueError, OverflowError):
        raise IntegrityError("is an ELF file that is damaged") from None


def _read(file: IO[bytes], head: bytes) -> Elf | None:
    (offset,) = struct.unpack_from("<Q", head, 32)
    size, count = struct.unpack_from("<HH", head, 54)
    if size < 56 or count > MAX_HEADERS:
        raise ValueError(count)
    headers = _at(file, offset, size * count)
    loads, dynamic = [], None
    for place in range(0, size * count, size):
        kind, _, start, address, _, length, _, _ = struct.unpack_from("<IIQQQQQQ", headers, place)
        if kind == _LOAD:
            loads.append((address, length, start))
        elif kind == _DYNAMIC:
            dynamic = start, length
    if dynamic is None:
        return None
    reader = _Reader(file, tuple(loads))
    entries = list(_entries(_at(file, dynamic[0], min(dynamic[1], 16 * MAX_DYNAMIC))))
    one = dict(entries)
    names = reader.at(one[_NAMES], one[_NAMES_SIZE]) if _NAMES in one and _NAMES_SIZE in one else b""
    return Elf(
        _name(names, one[_SONAME]) if _SONAME in one else "",
        tuple(_name(names, value) for tag, value in entries if tag == _NEEDED),
        dict(reader.wants(one.get(_WANTS, 0), one.get(_WANTS_COUNT, 0), names)),
        tuple(reader.gives(one.get(_GIVES, 0), one.get(_GIVES_COUNT, 0), names)),
    )


def _entries(data: bytes) -> Iterator[tuple[int, int]]:
    for place in range(0, len(data) - 15, 16):
        tag, value = struct.unpack_from("<qQ", data, place)
        if not tag:
            return
        yield tag, value


@dataclass(frozen=True, slots=True)
class _Reader:
    """A file, and where its parts are in memory: address, length, offset."""

    file: IO[bytes]
    loads: tuple[tuple[int, int, int], ...]

    def at(self, address: int, size: int) -> bytes:
        if size > MAX_NAMES:
            raise ValueError(size)
        for start, length, offset in self.loads:
            if start <= address and address + size <= start + length:
                return _at(self.file, offset + address - start, size)
        raise ValueError(address)

    def wants(self, address: int, count: int, names: bytes) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yields the needed versions by library (Elf64_Verneed, Elf64_Vernaux)."""
        rest = MAX_VERSIONS
        for _ in range(count if address else 0):
            _, inner, library, first, following = struct.unpack("<HHIII", self.at(address, 16))
            found, place = [], address + first
            rest -= 1 + inner
            if rest < 0:
                raise ValueError(count)
            for _ in range(inner):
                _, flags, _, name, next_one = struct.unpack("<IHHII", self.at(place, 16))
                if not flags & _WEAK:
                    found.append(_name(names, name))
                place += next_one
            yield _name(names, library), tuple(found)
            address += following

    def gives(self, address: int, count: int, names: bytes) -> Iterator[str]:
        """Yields the defined versions (Elf64_Verdef, Elf64_Verdaux)."""
        if count > MAX_VERSIONS:
            raise ValueError(count)
        for _ in range(count if address else 0):
            _, flags, _, _, _, first, following = struct.unpack("<HHHHIII", self.at(address, 20))
            (name,) = struct.unpack("<I", self.at(address + first, 4))
            if not flags & _BASE:
                yield _name(names, name)
            address += following


def _at(file: IO[bytes], offset: int, size: int) -> bytes:
    file.seek(offset)
    data = file.read(size)
    if len(data) != size:
        raise ValueError(offset)
    return data


def _name(names: bytes, at: int) -> str:
    end = names.find(b"\0", at, at + MAX_NAME)
    if end < 0:
        raise ValueError(at)
    return names[at:end].decode("utf-8", "backslashreplace")
