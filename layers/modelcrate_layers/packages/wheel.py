"""A wheel, read from its zip's directory without unpacking it (binary distribution format 1.0).

A wheel comes from outside and is hostile until it has been read here: afterwards every member has a clean relative name, is
a plain file, overlaps no other, and declares a bearable size that the wheel's RECORD does not contradict.
"""

from __future__ import annotations

import io
import re
import stat
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from modelcrate_layers.content import Digest
from modelcrate_layers.errors import CrateError, IntegrityError, SourceError, unreadable
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.patterns import compile_later
from modelcrate_layers.tar import sources
from modelcrate_layers.tar.sources import DEFLATED, STORED, FileRange, Stamp, ZipMember, check_stamp
from modelcrate_layers.tar.tree import MAX_PATH, show

if TYPE_CHECKING:
    import zipfile

MAX_MEMBERS = 200_000
"""The largest wheels known have some 30,000 files."""

MAX_UNPACKED = 32 << 30
"""Bytes of a whole wheel. torch with all of CUDA has a tenth of it."""

MAX_TEXT = 32 << 20
"""Bytes of a file of .dist-info that has to be read: RECORD has about 100 a file."""

_LOCAL_HEADER = 30
_ENCRYPTED = 0x0001 | 0x0040 | 0x2000
"""Flags for encryption, strong encryption and a masked directory (APPNOTE.TXT 4.4.4)."""

_SIGNATURES = frozenset({"RECORD.jws", "RECORD.p7s"})
"""Signatures of a RECORD; they never stand in it, and an installer has no use for them once RECORD is written anew."""

_HASHES = {"sha256": 43, "sha384": 64, "sha512": 86}
"""Hashes that RECORD may use (sha256 or better), and the length of their unpadded URL-safe base64."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """A pinned wheel file: what it is, and where it is or will be once it is fetched. The place is no part of what it is.

    `name` is normalised, as in `scikit-learn`. All of it is safe in paths and requirement lines once it exists.
    """

    name: str
    version: str
    filename: str
    sha256: str
    size: int
    path: str = field(compare=False)

    def __post_init__(self) -> None:
        Digest("sha256", self.sha256)
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.name) or not re.fullmatch(
            r"[0-9A-Za-z.!+_-]+", self.version
        ):
            raise IntegrityError(f"not a package and its version: {self.name[:100]!r} {self.version[:100]!r}")
        if not re.fullmatch(r"[^/\\\s\0-]+(-[^/\\\s\0-]+){4,5}\.whl", self.filename):
            raise IntegrityError(f"not the file name of a wheel: {self.filename[:200]!r}")

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a wheel."""

    name: str
    source: ZipMember
    executable: bool

    @property
    def hash(self) -> str:
        """RECORD's hash of it (`sha256=...`); empty where RECORD has none, as for itself."""
        return self.source.hash


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a wheel, in the order of its zip. `notices` are for the user, a sentence each."""

    wheel: Wheel
    dist_info: str
    members: tuple[Member, ...] = field(repr=False)
    notices: tuple[str, ...] = ()

    def text(self, name: str) -> str | None:
        """Returns a file of .dist-info, or None if it has none of that name."""
        wanted = f"{self.dist_info}/{name}"
        return next((_text(self.wheel, each.source) for each in self.members if each.name == wanted), None)


def read(wheel: Wheel, stamp: Stamp | None = None) -> Contents:
    """Returns the wheel's directory, checked. No content but METADATA and RECORD is read.

    Args:
        wheel: The wheel, which has been fetched.
        stamp: What the file has to have; by default, what it has now.

    Raises:
        SourceError: It is not to be packed (an escaping name, a symlink, encryption, a bomb), or is another file than `stamp` says.
        IntegrityError: It is damaged, or its parts contradict each other.
    """
    stamp = FileRange.of_file(wheel.path).stamp if stamp is None else stamp
    found = _directory(wheel, stamp)
    dist_info = _dist_info(wheel, found)
    for name in ("METADATA", "WHEEL", "RECORD"):
        if f"{dist_info}/{name}" not in found:
            raise IntegrityError(f"has no {dist_info}/{name}", where=wheel.filename)
    metadata, record = (
        _text(wheel, _source(wheel, stamp, found[f"{dist_info}/{name}"])) for name in ("METADATA", "RECORD")
    )
    _check_identity(wheel, metadata)
    hashes = _hashes(wheel, found, _record(wheel, record))
    unsigned = [name for name in found if name not in {f"{dist_info}/{signature}" for signature in _SIGNATURES}]
    members = tuple(_member(wheel, stamp, found[name], hashes.get(name, "")) for name in unsigned)
    unlisted = [each.name for each in members if not each.hash and each.name != f"{dist_info}/RECORD"]
    return Contents(wheel, dist_info, members, _incomplete(wheel, unlisted))


def _directory(wheel: Wheel, stamp: Stamp) -> dict[str, zipfile.ZipInfo]:
    """The files of the zip's central directory by name, each of them checked, and all of them together."""
    import zipfile

    try:
        with open(wheel.path, "rb") as file, zipfile.ZipFile(file) as archive:
            check_stamp(file.fileno(), stamp, wheel.path)
            infos, end = archive.infolist(), archive.start_dir
    except OSError as fault:
        raise unreadable(fault, wheel.path) from None
    except (zipfile.BadZipFile, ValueError, struct.error, NotImplementedError, RuntimeError, EOFError) as fault:
        raise IntegrityError(f"is not a whole zip file: {fault}", where=wheel.filename) from None
    if len(infos) > MAX_MEMBERS or sum(info.file_size for info in infos) > MAX_UNPACKED:
        raise SourceError(f"unpacks to more than {MAX_MEMBERS} files or {MAX_UNPACKED >> 30} GiB", where=wheel.filename)
    for info in infos:
        _check(wheel, info)
    _apart(wheel, infos, end)
    return _unique(wheel, infos)


def _check(wheel: Wheel, info: zipfile.ZipInfo) -> None:
    name = info.orig_filename  # as it stands in the file: zipfile cuts `filename` at a NUL
    parts = name.removesuffix("/").split("/")
    if "\0" in name or "\\" in name or any(part in ("", ".", "..") for part in parts) or len(name) > MAX_PATH:
        raise _refused(wheel, name, "is not a clean relative path")
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _refused(wheel, name, "is a symlink or a device, which a wheel can't have")
    if info.flag_bits & _ENCRYPTED:
        raise _refused(wheel, name, "is encrypted")
    if info.compress_type not in (STORED, DEFLATED):
        raise _refused(wheel, name, f"is compressed by a method that wheels don't have: {info.compress_type}")


def _apart(wheel: Wheel, infos: Iterable[zipfile.ZipInfo], end: int) -> None:
    """No two members may share bytes: a small zip could otherwise unpack to a thousand times its size."""
    free = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < free:
            raise IntegrityError(f"{_shown(info.filename)} overlaps another member", where=wheel.filename)
        free = info.header_offset + _LOCAL_HEADER + info.compress_size
    if free > end:
        raise IntegrityError("is cut short: a member reaches into the zip's directory", where=wheel.filename)


def _unique(wheel: Wheel, infos: Iterable[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    files: dict[str, zipfile.ZipInfo] = {}
    folders: set[str] = set()
    for info in infos:
        name = info.filename
        if not name.endswith("/") and files.setdefault(name, info) is not info:
            raise IntegrityError(f"{_shown(name)} stands twice in it", where=wheel.filename)
        while (name := name.rpartition("/")[0]) and name not in folders:
            folders.add(name)
    if both := sorted(folders & files.keys()):
        raise IntegrityError(f"{_shown(both[0])} is a file and a folder in it", where=wheel.filename)
    return files


def _dist_info(wheel: Wheel, names: Iterable[str]) -> str:
    from installer.utils import canonicalize_name

    tops = sorted({name.partition("/")[0] for name in names if name.partition("/")[0].endswith(".dist-info")})
    if len(tops) != 1:
        raise IntegrityError(f"has {len(tops)} .dist-info folders; a wheel has one", where=wheel.filename)
    project = tops[0].removesuffix(".dist-info").rpartition("-")[0]
    if canonicalize_name(project) != wheel.name:
        raise IntegrityError(f"should be {wheel.name}, and has {_shown(tops[0])} inside", where=wheel.filename)
    return tops[0]


def _record(wheel: Wheel, text: str) -> dict[str, tuple[str, str]]:
    """RECORD's rows: path to hash and size."""
    import csv

    from installer.records import InvalidRecordEntry, parse_record_file

    try:
        return {path: (hashed, size) for path, hashed, size in parse_record_file(io.StringIO(text, newline=""))}
    except (csv.Error, InvalidRecordEntry) as fault:
        raise IntegrityError(f"its RECORD can't be read: {fault}", where=wheel.filename) from None


def _hashes(
    wheel: Wheel, found: Mapping[str, zipfile.ZipInfo], recorded: Mapping[str, tuple[str, str]]
) -> dict[str, str]:
    """The members' hashes, as far as RECORD has them. A size that contradicts the zip's directory is an IntegrityError.

    They are compared while the members are read; the hash of a wheel is compared with the lock's.
    """
    hashes: dict[str, str] = {}
    for name, (hashed, size) in recorded.items():
        info = found.get(name)
        if info is None:
            continue  # pip and uv pass over a row without a file as well
        algorithm, _, value = hashed.partition("=")
        if size not in ("", str(info.file_size)):
            raise IntegrityError(
                f"{_shown(name)} has {info.file_size} bytes, and {size[:40]} in its RECORD",
                where=wheel.filename,
                hint="the wheel was changed after it was made: fetch or build it again",
            )
        if re.fullmatch(r"[A-Za-z0-9_-]+", value) and len(value) == _HASHES.get(algorithm):
            hashes[name] = hashed
    return hashes


def _incomplete(wheel: Wheel, names: Sequence[str]) -> tuple[str, ...]:
    if not names:
        return ()
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return (f"{wheel}: its RECORD has no hash of {_shown(names[0])}{more}; installed as it is in the wheel",)


def _check_identity(wheel: Wheel, metadata: str) -> None:
    """METADATA must agree with the pin and the file's name: it is what `importlib.metadata` and scanners believe."""
    from installer.utils import canonicalize_name, parse_metadata_file

    fields = parse_metadata_file(metadata.partition("\n\n")[0])
    name, version = fields["Name"] or "", fields["Version"] or ""
    if canonicalize_name(name) != wheel.name:
        raise IntegrityError(f"should be {wheel.name}, and its METADATA says {_shown(name)!r}", where=wheel.filename)
    for expected in (wheel.version, wheel.filename.split("-")[1]):
        if normal_version(version) != normal_version(expected):
            raise IntegrityError(
                f"should be version {expected}, and its METADATA says {_shown(version)!r}", where=wheel.filename
            )


def _member(wheel: Wheel, stamp: Stamp, info: zipfile.ZipInfo, hashed: str) -> Member:
    executable = stat.S_ISREG(info.external_attr >> 16) and bool(info.external_attr >> 16 & 0o111)
    return Member(info.filename, _source(wheel, stamp, info, hashed), executable)


def _source(wheel: Wheel, stamp: Stamp, info: zipfile.ZipInfo, hashed: str = "") -> ZipMember:
    return ZipMember(
        wheel.path,
        stamp,
        info.filename,
        info.header_offset,
        info.compress_type,
        info.compress_size,
        info.file_size,
        info.CRC,
        hashed,
    )


_VERSION = compile_later(
    r"v?(?:(?P<epoch>[0-9]+)!)?(?P<release>[0-9]+(?:\.[0-9]+)*)"
    r"(?:[-_.]?(?P<pre>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?P<pre_number>[0-9]*))?"
    r"(?:-(?P<post_number>[0-9]+)|[-_.]?(?P<post>post|rev|r)[-_.]?(?P<post_numbered>[0-9]*))?"
    r"(?:[-_.]?(?P<dev>dev)[-_.]?(?P<dev_number>[0-9]*))?"
    r"(?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?"
)
_PRE = {"alpha": "a", "beta": "b", "preview": "rc", "pre": "rc", "c": "rc"}


def normal_version(text: str) -> str:
    """Returns a version as one spelling of all that mean the same (version specifiers, "Normalization"); others as they are."""
    found = _VERSION.fullmatch(text.strip().lower())
    if found is None:
        return text.strip().lower().replace("_", "-")
    part = {key: value or "" for key, value in found.groupdict().items()}
    release = re.sub(r"(\.0)+$", "", ".".join(map(_plain, part["release"].split("."))))
    pre = f"{_PRE.get(part['pre'], part['pre'])}{_plain(part['pre_number'])}" if part["pre"] else ""
    posted = part["post"] or part["post_number"]
    post = f".post{_plain(part['post_number'] or part['post_numbered'])}" if posted else ""
    dev = f".dev{_plain(part['dev_number'])}" if part["dev"] else ""
    local = [_plain(each) if each.isdigit() else each for each in re.split(r"[-_.]", part["local"])]
    return f"{_plain(part['epoch'])}!{release}{pre}{post}{dev}+{'.'.join(local)}"


def _plain(number: str) -> str:
    """Returns a number without leading zeros. It stays a text: Python makes no number of 5,000 digits."""
    return number.lstrip("0") or "0"


def _text(wheel: Wheel, source: ZipMember) -> str:
    if source.size > MAX_TEXT:
        raise _refused(wheel, source.name, f"has {source.size} bytes; the limit is {MAX_TEXT}")
    try:
        return sources.read(source).decode()
    except UnicodeDecodeError as fault:
        raise IntegrityError(f"{_shown(source.name)} is not UTF-8: {fault.reason}", where=wheel.filename) from None


def _refused(wheel: Wheel, name: str, what: str) -> CrateError:
    return SourceError(f"{_shown(name)} {what}", where=wheel.filename, hint="such a wheel is not packed; get another")


def _shown(name: str) -> str:
    return show(name[:200].encode("utf-8", "surrogateescape"))
