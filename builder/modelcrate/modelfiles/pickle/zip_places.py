"""Where the parts of a zip lie in a file, as far as its readers may differ about it (APPNOTE.TXT)."""

from __future__ import annotations

import io
import re
import struct
import zipfile
from typing import BinaryIO

from modelcrate.modelfiles.beginnings import ZIP_END, ZIP_TAIL
from modelcrate_layers.tar.reader import list_tar


def is_in_a_member(file: BinaryIO) -> bool:
    """Returns whether the zip at the end of a tar lies in one member, wherever its readers look for it. Then the member is read, and that is all of it."""
    spans = [(where.offset, where.offset + where.size) for _, where in list_tar(file)]
    before = max(0, file.seek(0, io.SEEK_END) - ZIP_TAIL)
    file.seek(before)
    tail = file.read()
    for match in re.finditer(re.escape(ZIP_END), tail):
        at = before + match.start()
        size, offset = struct.unpack("<LL", tail[match.start() + 12 : match.start() + 20].ljust(8, b"\0"))
        if not any(first <= at - size - offset and at + 22 <= last for first, last in spans):
            return False
        for place, mark in ((offset, b"PK\1\2"), (max(0, at - 20), b"PK\6\7")):  # by the file's beginning; ZIP64
            file.seek(place)
            if file.read(4) == mark:
                return False
    return True


def descriptor_bytes(file: BinaryIO, start: int, info: zipfile.ZipInfo) -> int:
    """Returns the length of what follows a member whose sizes were not known at first (APPNOTE.TXT 4.3.9)."""
    if not info.flag_bits & 8:
        return 0
    file.seek(start + info.compress_size)
    found = file.read(24)
    mark = 4 if found.startswith(b"PK\7\x08") else 0
    for width in (8, 4):
        sizes = info.compress_size.to_bytes(8, "little")[:width] + info.file_size.to_bytes(8, "little")[:width]
        if found[mark + 4 : mark + 4 + 2 * width] == sizes and (mark or len(found) >= 4 + 2 * width):
            return mark + 4 + 2 * width
    return 0


def uncovered(spans: list[tuple[int, int]]) -> tuple[int, int]:
    """Returns how many bytes precede the first of some sorted spans, and where the first gap behind it is, 0 for none."""
    at = first = spans[0][0]
    gap = 0
    for start, end in spans:
        if start > at and not gap:
            gap = at
        at = max(at, end)
    return first, gap


def ends_at_its_end(file: BinaryIO) -> bool:
    """Returns whether all readers of zip find the same end: one mark, whose comment reaches to the end of the file and has no other mark."""
    file.seek(max(0, file.seek(0, io.SEEK_END) - ZIP_TAIL))
    tail = file.read()
    at = tail.rfind(ZIP_END)
    return 0 <= at <= len(tail) - 22 and at + 22 + int.from_bytes(tail[at + 20 : at + 22], "little") == len(tail)
