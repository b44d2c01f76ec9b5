"""Debian packages as values, untrusted: the ar frame, the control fields, the members of the data archive (deb(5)).

No dpkg, no maintainer script, nothing put into place: the data archive is kept as one plain tar in a cache, since its compressed
stream can't be entered in the middle, and a member is a range of that file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

from modelcrate_layers.content import CHUNK
from modelcrate_layers.errors import IntegrityError, unreadable
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.packages import checked
from modelcrate_layers.packages.pinned import Package
from modelcrate_layers.patterns import compile_later
from modelcrate_layers.tar import codec
from modelcrate_layers.tar.reader import Member, MemberKind, read_tar
from modelcrate_layers.tar.sources import FileRange, Stamp
from modelcrate_layers.tar.tree import show

MAX_DATA = 8 << 30
"""Bytes of an unpacked data archive; the largest packages of Debian unpack to some 3 GiB."""

MAX_CONTROL = 16 << 20
"""Bytes of an unpacked control archive; nearly all of it is checksums, a line a file."""

_MAX_PARTS = 16
_AR, _AR_HEAD, _AR_END = b"!<arch>\n", 60, b"`\n"
_SIZE = compile_later(rb"([0-9]{1,10}) *")
_SUFFIXES = ("", ".gz", ".xz", ".zst")
_FIELD = compile_later(r"([!-9;-~]+):[ \t]*(.*)")


@dataclass(frozen=True, slots=True)
class Control:
    """What a package says of itself: the stanza as it came, its fields, and the checksums of its files (md5sums)."""

    stanza: bytes
    fields: Mapping[str, str]
    md5sums: bytes


@dataclass(frozen=True, slots=True)
class Item:
    """A file, directory or link of a package. `path` is clean and relative; a hard link's `link` is such a path, too."""

    path: bytes
    kind: MemberKind
    mode: int
    link: bytes = b""
    source: FileRange | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    """A member of the ar frame."""

    offset: int
    size: int


def fields(stanza: str) -> dict[str, str]:
    """Parses the fields of one stanza (deb-control(5)); lines that continue a field keep their line breaks."""
    found: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line[:1] in (" ", "\t") and name:
            found[name] += "\n" + line[1:]
        elif match := _FIELD.fullmatch(line):
            name = match[1]
            if name in found:
                raise IntegrityError(f"the field {name} stands twice in one stanza")
            found[name] = match[2].rstrip()
        elif line.strip():
            raise IntegrityError(f"not a control field: {line[:80]!r}")
    return found


def control(path: Path) -> Control:
    """Reads the control archive's fields and checksums. A damaged package is an IntegrityError that names the file."""
    wanted = {b"control": b"", b"md5sums": b""}
    for member in _members(path, "control.tar", MAX_CONTROL):
        name = member.name.removeprefix(b"./")
        if name in wanted and member.kind is MemberKind.FILE:
            wanted[name] = b"".join(member.body)
    stanza = wanted[b"control"].strip() + b"\n"
    try:
        found = fields(stanza.decode())
    except UnicodeDecodeError:
        raise IntegrityError("has control fields that are not UTF-8", where=str(path)) from None
    if missing := {"Package", "Version", "Architecture"} - found.keys():
        raise IntegrityError(f"has no control field {', '.join(sorted(missing))}", where=str(path))
    return Control(stanza, found, wanted[b"md5sums"])


def unpack(package: Package) -> Path:
    """Returns the data archive as a plain tar beside the package, made once (`checked.unpack`). `items` checks what is in it."""
    path = Path(package.path)
    tar = path.with_suffix(".tar")
    checked.unpack(package, {tar: _part(path, "data.tar", MAX_DATA)})
    return tar


def items(tar: Path) -> Iterator[Item]:
    """Yields the members of an unpacked data archive, in its order, checked: no path leads outside, no devices, no pipes."""
    where = str(tar)
    try:
        with open(tar, "rb", buffering=0) as archive:
            stamp = Stamp.of(os.fstat(archive.fileno()))
            for member in read_tar(_chunks(archive, stamp.size), held=True):
                if path := _clean(member.name, where):
                    yield _item(member, path, FileRange(where, stamp, member.offset, member.size))
    except OSError as fault:
        raise unreadable(fault, where) from None
    except IntegrityError as fault:
        raise fault if fault.where else IntegrityError(fault.what, where=where, why=fault.why) from None


def _item(member: Member, path: bytes, body: FileRange) -> Item:
    match member.kind:
        case MemberKind.FILE:
            return Item(path, member.kind, member.mode, source=body)
        case MemberKind.DIRECTORY:
            return Item(path, member.kind, member.mode)
        case MemberKind.SYMLINK:
            return Item(path, member.kind, 0o777, member.link)
        case MemberKind.HARD_LINK:
            return Item(path, member.kind, member.mode, _clean(member.link, body.path))
    raise IntegrityError(f"{show(path)} is a device or a pipe, which no package brings", where=body.path)


def _clean(name: bytes, where: str) -> bytes:
    """A member's path without `./` and the last slash; empty for the root itself."""
    path = name.removeprefix(b"./").rstrip(b"/")
    if path in (b"", b".") and not name.startswith(b"/"):
        return b""
    parts = path.split(b"/")
    if b"" in parts or b"." in parts or b".." in parts:
        raise IntegrityError(f"a member's path leads outside, or is no path: {show(name[:200])}", where=where)
    return path


def _members(path: Path, part: str, limit: int) -> Iterator[Member]:
    try:
        yield from read_tar(_part(path, part, limit), held=True)
    except IntegrityError as fault:
        raise fault if fault.where else IntegrityError(fault.what, where=str(path), why=fault.why) from None


def _part(path: Path, part: str, limit: int) -> Iterator[bytes]:
    """The tar inside one of the two archives of a package, unpacked, up to `limit` bytes."""
    try:
        with open(path, "rb", buffering=0) as archive:
            found = _find(_frame(archive, str(path)), part, str(path))
            archive.seek(found.offset)
            yield from _limited(codec.decode(_chunks(archive, found.size)), limit, f"{part} of a package")
    except OSError as fault:
        raise unreadable(fault, path) from None
    except IntegrityError as fault:
        raise fault if fault.where else IntegrityError(fault.what, where=str(path), why=fault.why) from None


def _frame(archive: IO[bytes], where: str) -> dict[str, _Part]:
    """Where the members of the ar frame are, by name."""
    end = os.fstat(archive.fileno()).st_size
    found: dict[str, _Part] = {}
    if archive.read(len(_AR)) != _AR:
        raise IntegrityError("is not a Debian package: it does not begin as an ar archive does", where=where)
    at = len(_AR)
    while at < end:
        archive.seek(at)
        head = archive.read(_AR_HEAD)
        size = _SIZE.fullmatch(head[48:58])
        if len(head) != _AR_HEAD or head[58:] != _AR_END or size is None:
            raise IntegrityError("is a damaged package: an ar header is cut short or malformed", where=where)
        name = head[:16].decode("ascii", "replace").rstrip(" ").removesuffix("/")
        part = _Part(at + _AR_HEAD, int(size[1]))
        if part.offset + part.size > end:
            raise IntegrityError(f"is cut short: {name} should have {part.size} bytes", where=where)
        if name in found or len(found) == _MAX_PARTS:
            raise IntegrityError(f"is no package: {name} comes twice, or too many parts", where=where)
        found[name] = part
        at = part.offset + part.size + part.size % 2
    return found


def _find(parts: Mapping[str, _Part], part: str, where: str) -> _Part:
    if next(iter(parts), "") != "debian-binary":
        raise IntegrityError("is not a Debian package: its first part is not debian-binary", where=where)
    found = [parts[part + suffix] for suffix in _SUFFIXES if part + suffix in parts]
    if len(found) != 1:
        raise IntegrityError(
            f"should have one {part}, as it is or packed by gzip, xz or zstd; has {', '.join(parts)}", where=where
        )
    return found[0]


def _chunks(archive: IO[bytes], size: int) -> Iterator[bytes]:
    while size and (chunk := archive.read(min(size, CHUNK))):
        size -= len(chunk)
        yield chunk


def _limited(chunks: Iterable[bytes], limit: int, what: str) -> Iterator[bytes]:
    for chunk in chunks:
        limit -= len(chunk)
        if limit < 0:
            raise IntegrityError(f"{what} unpacks to more than is ever read")
        yield chunk
