"""ELF files by hand: a dynamic section, names, and versions of symbols, and nothing that could run."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

_NEEDED, _NAMES, _NAMES_SIZE, _SONAME = 1, 5, 10, 14
_GIVES, _GIVES_COUNT, _WANTS, _WANTS_COUNT = 0x6FFFFFFC, 0x6FFFFFFD, 0x6FFFFFFE, 0x6FFFFFFF
_NOTHING: Mapping[str, Sequence[str]] = {}


def make_elf(
    name: str = "",
    needed: Sequence[str] = (),
    wants: Mapping[str, Sequence[str]] = _NOTHING,
    gives: Sequence[str] = (),
    text: bytes = b"",
    weak: Sequence[str] = (),
) -> bytes:
    """A shared library with this name, which needs and gives these. `text` stands in its bytes; `weak` are versions that may be missing."""
    texts = [name, *needed, *wants, *(each for versions in wants.values() for each in versions), *gives]
    names = b"\0" + b"".join(each.encode() + b"\0" for each in dict.fromkeys(texts))

    def at(each: str) -> int:
        return names.index(b"\0" + each.encode() + b"\0") + 1 if each else 0

    wanted, given = b"", b""
    for number, (library, versions) in enumerate(wants.items()):
        inner = b"".join(
            struct.pack("<IHHII", 0, 2 if each in weak else 0, 2, at(each), 16 * (place + 1 < len(versions)))
            for place, each in enumerate(versions)
        )
        following = (16 + len(inner)) * (number + 1 < len(wants))
        wanted += struct.pack("<HHIII", 1, len(versions), at(library), 16, following) + inner
    for number, each in enumerate([name, *gives] if gives else []):
        following = 28 * (number < len(gives))
        given += struct.pack("<HHHHIIIII", 1, int(number == 0), number + 1, 1, 0, 20, following, at(each), 0)
    begin = 64 + 2 * 56
    places = begin, begin + len(names), begin + len(names) + len(wanted)
    entries = [(_NEEDED, at(each)) for each in needed]
    entries += [(_SONAME, at(name))] if name else []
    entries += [(_NAMES, places[0]), (_NAMES_SIZE, len(names))]
    entries += [(_WANTS, places[1]), (_WANTS_COUNT, len(wants))] if wants else []
    entries += [(_GIVES, places[2]), (_GIVES_COUNT, len(gives) + 1)] if gives else []
    dynamic = b"".join(struct.pack("<qQ", *each) for each in (*entries, (0, 0)))
    body = names + wanted + given + dynamic
    offset, size = begin + len(names) + len(wanted) + len(given), begin + len(body)
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 4, 0, 0, 0, size, size, 4096)
    return (
        head
        + load
        + struct.pack("<IIQQQQQQ", 2, 6, offset, offset, offset, len(dynamic), len(dynamic), 8)
        + body
        + text
    )
