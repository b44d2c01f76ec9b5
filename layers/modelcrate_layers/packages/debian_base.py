"""The Debian base: the files of pinned packages as one layer, as distroless images are made. No maintainer script ever runs.

What the scripts would have done, and an image needs, is done here, each with its reason:

| made here                                  | why                                                                              |
|--------------------------------------------|----------------------------------------------------------------------------------|
| bin, sbin, lib, lib64 -> usr/...           | merged /usr, as every Debian since 12 has it; made where usr/... exists          |
| etc/passwd, etc/group                      | root, nobody, and the user that images of ours run as                            |
| etc/nsswitch.conf                          | names come from files and DNS, nothing else is there                             |
| etc/ssl/certs/ca-certificates.crt          | Mozilla's certificates in the order of their names, as update-ca-certificates does |
| usr/lib/ssl/cert.pem, usr/lib/ssl/certs    | where OpenSSL looks; the package that brings these links is left out             |
| etc/localtime, etc/timezone                | UTC, explicitly; only if tzdata is in the base                                   |
| usr/bin/python3                            | the name that scripts ask for                                                    |
| var/run, var/lock                          | links to /run, which base-files' script makes                                    |
| var/lib/dpkg/status.d                      | one control stanza a package, where scanners look for them in distroless images  |

Left out are documentation (copyright files stay), manual pages, translations, and set-user-id bits. Alternatives aren't made.
A file of a package is never replaced by one of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from modelcrate_layers.errors import SourceError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.packages import deb as debs
from modelcrate_layers.packages.pinned import Deb
from modelcrate_layers.tar.reader import MemberKind
from modelcrate_layers.tar.sources import Bytes, FileRange, read, sha256
from modelcrate_layers.tar.tree import Entry, Kind, Tree, directory, file, hard_link, show, symlink

USER, UID = b"modelcrate", 10001
"""The default user of images. Its group is root's, as any user's in OpenShift."""

_UNPACKERS = 4
_MERGED = (b"bin", b"sbin", b"lib", b"lib32", b"lib64", b"libx32", b"libo32")
_LEFT_OUT = tuple(
    b"usr/share/" + name + b"/"
    for name in (b"applications", b"bug", b"doc", b"doc-base", b"info", b"lintian", b"locale", b"man", b"pixmaps")
)
_DOC = b"usr/share/doc/"
_CERTIFICATES = b"usr/share/ca-certificates/mozilla/"
_BUNDLE = b"etc/ssl/certs/ca-certificates.crt"
_STATUS = b"var/lib/dpkg/status.d/"
_RUN = {b"var/run": b"/run", b"var/lock": b"/run/lock"}
_STICKY = (b"tmp", b"var/tmp")
_FOLDERS = (
    *(b"dev", b"etc", b"etc/ssl", b"etc/ssl/certs", b"home", b"proc", b"run", b"run/lock", b"sys", b"usr", b"usr/bin"),
    *(b"usr/lib", b"usr/lib/ssl", b"usr/local", b"usr/local/bin", b"usr/sbin", b"var", b"var/lib", b"var/lib/dpkg"),
    _STATUS.rstrip(b"/"),
)
_PASSWD = b"""root:x:0:0:root:/root:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
%b:x:%d:0:%b:/home/%b:/usr/sbin/nologin
""" % (USER, UID, USER, USER)
_GROUP = b"root:x:0:\nnogroup:x:65534:\n"
_NSSWITCH = b"""passwd: files
group: files
shadow: files
hosts: files dns
networks: files
protocols: files
services: files
"""


def tree(wanted: Sequence[Deb], python: str) -> Tree:
    """Returns the tree of a base, and unpacks its packages into the cache. Two that own the same file are a SourceError."""
    packed = _packages(wanted)
    found = {path: owned.entry for path, owned in packed.items()}
    for entry in (*_records(wanted, found), *_made(found, python)):
        found.setdefault(entry.path, entry)
    _close(found)
    return Tree.of(_linked(found.values()))


@dataclass(frozen=True, slots=True)
class _Owned:
    """An entry and the package that brings it."""

    entry: Entry
    package: str


def _packages(wanted: Sequence[Deb]) -> dict[bytes, _Owned]:
    """Returns the entries of all packages. They are read in the order of their names: the first with a directory decides its mode."""
    found: dict[bytes, _Owned] = {}
    ordered = sorted(wanted, key=lambda each: each.package)
    with ThreadPoolExecutor(_UNPACKERS) as pool:  # xz releases the GIL
        tars = list(pool.map(debs.unpack, ordered))
    for deb, tar in zip(ordered, tars, strict=True):
        for entry in _entries(tar):
            new = _Owned(entry, deb.package)
            old = found.setdefault(entry.path, new)
            if old is not new and not _agree(old.entry, entry):
                raise SourceError(
                    f"{old.package} and {deb.package} both bring {show(entry.path)}, and not the same",
                    hint="leave one of them out of the base's packages",
                )
    return found


def _entries(tar: Path) -> Iterator[Entry]:
    """Yields the entries of a package that are kept. A hard link becomes a file with the same bytes."""
    files: dict[bytes, FileRange] = {}
    for item in debs.items(tar):
        if item.source is not None:
            files[item.path] = item.source
        path, mode = _placed(item.path), item.mode & 0o1777
        if path is None or not _kept(path, item.kind):
            continue
        if item.kind is MemberKind.DIRECTORY:
            yield directory(path, mode)
        elif item.kind is MemberKind.SYMLINK:
            yield symlink(path, item.link)
        elif (source := item.source or files.get(item.link)) is not None:
            yield file(path, source, mode)
        else:
            raise SourceError(
                f"{show(item.path)} is a hard link to {show(item.link)}, which comes later or never", where=str(tar)
            )


def _placed(path: bytes) -> bytes | None:
    """Returns the path in the image, with the links that are made here followed; None for a path that becomes such a link."""
    top, _, rest = path.partition(b"/")
    if top in _MERGED:
        return b"usr/" + path if rest else None
    for link, target in _RUN.items():
        if path == link or path.startswith(link + b"/"):
            return target[1:] + path[len(link) :] if path != link else None
    return path


def _kept(path: bytes, kind: MemberKind) -> bool:
    if path.startswith(_DOC):
        depth = path.count(b"/")
        return (depth == 3 and kind is MemberKind.SYMLINK) or (depth == 4 and path.endswith(b"/copyright"))
    return not (path + b"/").startswith(_LEFT_OUT)


def _agree(one: Entry, other: Entry) -> bool:
    """Returns whether two packages may both have a path: directories always, other entries if they are equal."""
    if one.kind is Kind.DIRECTORY or other.kind is Kind.DIRECTORY:
        return one.kind is other.kind
    if one.source is None or other.source is None or one.size != other.size:
        return one == other
    return one.mode == other.mode and sha256(one.source) == sha256(other.source)


def _records(wanted: Iterable[Deb], found: dict[bytes, Entry]) -> Iterator[Entry]:
    """Yields the files that scanners read: the control stanza of each package, and the checksums of its files that are kept."""
    for deb in wanted:
        control = debs.control(deb.path)
        named = tuple(control.fields[name] for name in ("Package", "Version", "Architecture"))
        if named != (deb.package, deb.version, deb.architecture):
            raise SourceError(
                f"says that it is {' '.join(named)}, not {deb.package} {deb.version} {deb.architecture}",
                where=str(deb.path),
            )
        sums = [line for line in control.md5sums.splitlines() if _placed(line[34:]) in found]
        yield file(_STATUS + deb.package.encode(), Bytes(control.stanza), 0o644)
        yield file(_STATUS + deb.package.encode() + b".md5sums", Bytes(b"".join(s + b"\n" for s in sums)), 0o644)


def _made(found: dict[bytes, Entry], python: str) -> Iterator[Entry]:
    """Yields the entries that maintainer scripts would have made; see the table above."""
    inside = {path.split(b"/", 2)[1] for path in found if path.startswith(b"usr/")}
    yield from (
        symlink(name, b"usr/" + name) for name in _MERGED if name in inside or name in (b"bin", b"sbin", b"lib")
    )
    yield from (directory(path, 0o1777) for path in _STICKY)
    yield from (directory(path, 0o755) for path in _FOLDERS)
    yield directory(b"root", 0o700)
    yield directory(b"home/" + USER, 0o770)._replace(uid=UID)
    yield from (symlink(path, target) for path, target in _RUN.items())
    yield file(b"etc/passwd", Bytes(_PASSWD), 0o644)
    yield file(b"etc/group", Bytes(_GROUP), 0o644)
    yield file(b"etc/nsswitch.conf", Bytes(_NSSWITCH), 0o644)
    if b"usr/bin/python" + python.encode() in found:
        yield symlink(b"usr/bin/python3", b"python" + python.encode())
    if b"usr/share/zoneinfo/Etc/UTC" in found:
        yield symlink(b"etc/localtime", b"/usr/share/zoneinfo/Etc/UTC")
        yield file(b"etc/timezone", Bytes(b"Etc/UTC\n"), 0o644)
    if bundle := _certificates(found):
        yield file(_BUNDLE, Bytes(bundle), 0o644)
        yield symlink(b"usr/lib/ssl/cert.pem", b"/" + _BUNDLE)
        yield symlink(b"usr/lib/ssl/certs", b"/etc/ssl/certs")


def _certificates(found: dict[bytes, Entry]) -> bytes:
    """Returns the bundle: every certificate, each ending in one line break."""
    names = sorted(path for path in found if path.startswith(_CERTIFICATES) and path.endswith(b".crt"))
    sources = (found[name].source for name in names)
    return b"".join(read(source).rstrip(b"\n") + b"\n" for source in sources if source is not None)


def _close(found: dict[bytes, Entry]) -> None:
    """Adds the folders that no package has; they belong to root."""
    for path in list(found):
        while (path := path.rpartition(b"/")[0]) and path not in found:
            found[path] = directory(path, 0o755)


def _linked(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Yields the same entries, with hard links where several are the same file of one package."""
    first: dict[FileRange, bytes] = {}
    for entry in sorted(entries, key=lambda each: each.path):
        if isinstance(entry.source, FileRange) and entry.size:
            path = first.setdefault(entry.source, entry.path)
            yield entry if path == entry.path else hard_link(entry.path, path)
        else:
            yield entry
