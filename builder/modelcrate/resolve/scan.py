"""Scans a layer of a base for what decides how Python runs on it: interpreters, their libraries, C libraries, links, and what the layer hides.

A scan reads the whole layer, so its digest, its diff id and the paths of its members are checked by it. Scans are cached by the
layer's digest, so a layer is read once on a machine. Those of a registry's base travel beside the images on it (see `resolved_base.ReceivedScans`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from modelcrate.events import Emit, ignore_event, track_chunks
from modelcrate.images.image import ImageLayer
from modelcrate.net.keyed_lock import KeyedLock
from modelcrate_layers.content import canonical_json, parse_object
from modelcrate_layers.errors import CrateError, IntegrityError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.patterns import compile_later
from modelcrate_layers.read_ahead import read_ahead
from modelcrate_layers.records import read_record, write_record
from modelcrate_layers.store import as_machine_error
from modelcrate_layers.tar import codec as codecs
from modelcrate_layers.tar.reader import Member, MemberKind, read_tar
from modelcrate_layers.tar.recipe import Tally
from modelcrate_layers.tar.tree import show

VERSION = 5
"""Raised when scans are to be made anew."""

READ, RECEIVED = "scans", "received-scans"
"""The folders in the cache: scans that were made on this machine, and those that came with images of others."""

_SCANNING = KeyedLock()

MAX_FILES = 10_000
"""How many files and links of a layer are kept; a layer with a Python has some 250."""

MAX_HIDDEN = 10_000
"""How many whiteouts of a layer are kept."""

_INTERESTING = compile_later(
    r"(?:.+/)?bin/(?:python(?:3(?:\.[0-9]{1,2}t?)?)?|pypy3?(?:\.[0-9]{1,2})?)"  # interpreters, and the links to them
    r"|etc/alternatives/python3?"
    r"|(?:.+/)?include/python3\.[0-9]{1,2}/patchlevel\.h"
    r"|(?:usr/)?lib(?:64)?/(?:[^/]+-linux-gnu[^/]*/)?libc(?:\.so\.6|-2\.[0-9]+\.so)"
    r"|(?:usr/)?lib/(?:ld-musl-[^/]+\.so\.1|libc\.musl-[^/]+\.so\.1)"
)
"""Files whose place, or bytes, tell something."""

_MODULE = compile_later(r"(?:.+/)?lib(?:64)?/python3\.[0-9]{1,2}/[A-Za-z_]\w*(?:/__init__)?\.pyc?")
"""A top module of a standard library: its file, or that of its package."""

_HINT = compile_later(rb"python|pypy|libc|ld-musl")
"""What stands in all of these paths, and in few others."""

_FOLDER_LINK = compile_later(r"(?:usr/|usr/local/)?(?:s?bin|lib(?:64)?)|opt/[^/]+|usr/local|usr")
"""Links in place of folders: a merged /usr, and an /opt/python that leads to one version."""

_LOADER = compile_later(rb"/lib(?:64)?/(ld-[a-z0-9_.-]+\.so\.[0-9])\0")
_HEAD = 4096
"""The bytes of a program in which it names its loader (PT_INTERP)."""

_VERSIONS = (
    (compile_later(r".*musl.*"), compile_later(rb"\0(1\.[0-9]{1,2}\.[0-9]{1,2})[^\0]{0,20}\0")),
    (compile_later(r"libc.*"), compile_later(rb"GNU C Library[^\n]{0,80}version (2\.[0-9]{1,2})")),
    (compile_later(r"patchlevel\.h"), compile_later(rb'#define PY_VERSION\s+"(3\.[0-9]{1,2}\.[0-9a-z]{1,8})')),
)
"""How the bytes of a file tell its version, by the file's name. A program of Python's does not tell it; its header does."""

_TOLD = compile_later(r"(?:ld-[a-z0-9_.-]+\.so\.[0-9])? (?:[0-9]{1,2}\.[0-9]{1,2}(?:\.[0-9a-z]{1,8})?)?")
"""A loader and a version, as they are read, or nothing."""

_UNCLEAN = compile_later(rb"(?:^|/)(?:/|\.\.?(?:/|$))")
"""An empty part of a path, or one of dots."""

_OVERLAP = 256
_WHITEOUT, _OPAQUE = b".wh.", b".wh..wh..opq"


ScannedKind = Literal["file", "link", "script", "module"]
_KINDS: dict[str, ScannedKind] = {"file": "file", "link": "link", "script": "script", "module": "module"}


@dataclass(frozen=True, slots=True)
class ScannedFile:
    """An interpreter, a C library, or a link, of a layer.

    Attributes:
        path: Below the root, without a leading slash.
        kind: `link` is a symbolic link or a hard link, whose targets begin with a slash; `script` begins with `#!`; `module` is one of a
            standard library, of whatever kind its file is.
        target: Of a link.
        loader: The dynamic loader that a program requires, by its file's name: `ld-linux-x86-64.so.2`, `ld-musl-x86_64.so.1`.
        version: The version in the bytes: 2.36 of a glibc, 3.11.2 of Python's header; empty where they have none.
    """

    path: str
    kind: ScannedKind = "file"
    target: str = ""
    loader: str = ""
    version: str = ""

    def json(self) -> dict[str, str]:
        """Returns the value as JSON, without what is empty: nearly all files are modules."""
        more = (("target", self.target), ("loader", self.loader), ("version", self.version))
        return {"path": self.path, "kind": self.kind, **{name: value for name, value in more if value}}


@dataclass(frozen=True, slots=True)
class LayerScan:
    """What a scan found in one layer.

    Attributes:
        hidden: Paths of lower layers that this one hides (whiteouts); all below a folder, for one that ends in a slash.
        tar_size: The length of the tar in bytes.
    """

    files: tuple[ScannedFile, ...] = ()
    hidden: tuple[str, ...] = ()
    tar_size: int = 0

    def json(self) -> dict[str, Any]:
        """Returns the value as JSON."""
        return {"files": [each.json() for each in self.files], "hidden": list(self.hidden), "tar-size": self.tar_size}

    @classmethod
    def parse(cls, value: object) -> LayerScan:
        """Parses what `json` returned. The value is untrusted.

        Raises:
            IntegrityError: It is malformed.
        """
        try:
            if isinstance(value, dict) and value.keys() == {"files", "hidden", "tar-size"}:
                files, hidden = tuple(map(_parse_file, value["files"])), tuple(map(_text, value["hidden"]))
                if len(files) <= MAX_FILES and len(hidden) <= MAX_HIDDEN:
                    return cls(files, hidden, int(value["tar-size"]))
        except (AttributeError, KeyError, TypeError, ValueError):
            pass
        raise IntegrityError("the scan of a layer is malformed")


def scan(layer: ImageLayer, cache: Path, emit: Emit = ignore_event, *, held: bool = True) -> LayerScan:
    """Scans a layer, or recalls its scan from the cache. Of several threads that want the same layer, one scans it.

    Args:
        layer: The layer.
        cache: The folder of the cache.
        emit: Receives the events.
        held: Whether its digests come from an image. The blocks that end its tar may then be missing.

    Raises:
        IntegrityError: Its bytes are not those of its digest or diff id, are no tar, or a member's path leads outside.
    """
    with _SCANNING.hold((cache, _name(layer))):
        return recall(layer, cache) or _scan_and_keep(layer, cache, emit, held)


def _scan_and_keep(layer: ImageLayer, cache: Path, emit: Emit, held: bool) -> LayerScan:
    try:
        found = _scan(layer, emit, held)
    except IntegrityError:
        for _ in layer.blob.chunks():  # where the bytes are not those of the digest, that is the error to report
            pass
        raise
    remember(layer, found, cache)
    return found


def remember(layer: ImageLayer, found: LayerScan, cache: Path, folder: str = READ) -> None:
    """Keeps the scan of a layer in the cache."""
    with as_machine_error(cache):
        write_record(cache / folder, _name(layer), canonical_json(found.json()))


def says_nothing(paths: Iterable[tuple[str, str]]) -> bool:
    """Returns whether a layer with these files, by path and type, neither has nor hides anything that a scan looks for."""
    for path, kind in paths:
        name = path.rpartition("/")[2]
        linked = kind == "symlink" and _FOLDER_LINK.fullmatch(path)
        told = _INTERESTING.fullmatch(path) or _MODULE.fullmatch(path)
        if linked or name.startswith(_WHITEOUT.decode()) or told:
            return False
    return True


def recall(layer: ImageLayer, cache: Path, folder: str = READ) -> LayerScan | None:
    """Returns the scan of a layer that was made or received before on this machine (see `records`): it decides which packages fit."""
    if (data := read_record(cache / folder, _name(layer))) is None:
        return None
    try:
        return _parse_once(data)
    except CrateError:
        return None


@lru_cache(64)
def _parse_once(data: bytes) -> LayerScan:
    """Projects have their base in common."""
    return LayerScan.parse(parse_object(data))


def path_in_root(name: bytes, where: str) -> bytes:
    """Returns the path below the root that a member's name or a hard link's target means, empty for the root itself.

    Names that begin with `/` or `./` mean paths below the root: GNU tar -P and other builders write them.

    Raises:
        IntegrityError: The name leads outside with `..`.
    """
    if not _UNCLEAN.search(name):
        return name.removesuffix(b"/")  # nearly all of them
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise IntegrityError(
            f"has a member that leads outside of the image: {show(name[:200])}",
            where=where,
            hint="take the base from a place that you trust: no builder writes such a layer",
        )
    return b"/".join(parts)


def _parse_file(value: Any) -> ScannedFile:
    """Parses a file that others have found. It has to be one that a scan keeps, with what a scan reads in it."""
    path, kind = _text(value["path"]), _KINDS[value["kind"]]
    target, loader, version = (_text(value.get(name, "")) for name in ("target", "loader", "version"))
    kept = (_MODULE,) if kind == "module" else (_INTERESTING, _FOLDER_LINK) if kind == "link" else (_INTERESTING,)
    if not any(each.fullmatch(path) for each in kept) or not _TOLD.fullmatch(f"{loader} {version}"):
        raise ValueError(value)
    return ScannedFile(path, kind, target, loader, version)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _name(layer: ImageLayer) -> str:
    return f"{layer.layer.descriptor.digest.hex}-{layer.layer.diff_id.short}.{VERSION}"


def _scan(layer: ImageLayer, emit: Emit, held: bool) -> LayerScan:
    tally = Tally()
    where = f"layer {layer.layer.descriptor.digest.short} of the base"
    files: dict[str, ScannedFile] = {}
    hidden: list[str] = []
    stored = track_chunks(layer.blob.chunks(), f"look through {where}", layer.layer.descriptor.size, emit)
    for member in read_tar(tally.passing(read_ahead(_unpacked(stored, where))), held=held):
        path = path_in_root(member.name, where)
        target = path_in_root(member.link, where) if member.kind is MemberKind.HARD_LINK else member.link
        if path.rpartition(b"/")[2].startswith(_WHITEOUT):
            hidden.append(_hidden(path))
        elif (found := _file(path, target, member)) is not None:
            files[found.path] = found
        if len(files) > MAX_FILES or len(hidden) > MAX_HIDDEN:
            raise IntegrityError(f"{where} has more than {MAX_FILES} interpreters or {MAX_HIDDEN} whiteouts")
    if tally.digest != layer.layer.diff_id:
        raise IntegrityError(
            f"{where} is not what its config says: claimed diff id {layer.layer.diff_id}, computed {tally.digest}"
        )
    return LayerScan(tuple(files.values()), tuple(hidden), tally.size)


def _unpacked(stored: Iterable[bytes], where: str) -> Iterator[bytes]:
    """Yields the tar of a layer; what is wrong with it is named with the layer."""
    try:
        yield from codecs.decode(stored)
    except IntegrityError as fault:
        raise IntegrityError(fault.what, where=fault.where or where, why=fault.why, hint=fault.hint) from None


def _hidden(path: bytes) -> str:
    folder, _, name = path.rpartition(b"/")
    hides = b"" if name == _OPAQUE else name.removeprefix(_WHITEOUT)
    return (folder + b"/" + hides).removeprefix(b"/").decode("utf-8", "replace")


def _file(path: bytes, target: bytes, member: Member) -> ScannedFile | None:
    if member.kind is not MemberKind.SYMLINK and not _HINT.search(path):
        return None  # nearly all of them
    name, leads_to = path.decode("utf-8", "replace"), target.decode("utf-8", "replace")
    interesting = _INTERESTING.fullmatch(name)
    if _MODULE.fullmatch(name):
        return ScannedFile(name, "module")
    if member.kind is MemberKind.SYMLINK and (interesting or _FOLDER_LINK.fullmatch(name)):
        return ScannedFile(name, "link", leads_to)
    if not interesting:
        return None
    if member.kind is MemberKind.HARD_LINK:
        return ScannedFile(name, "link", f"/{leads_to}")
    if member.kind is not MemberKind.FILE:
        return None
    return _read_file(name, member.body)


def _read_file(name: str, body: Iterable[bytes]) -> ScannedFile:
    """Reads a file to its end, for the loader that it requires, and its version."""
    pattern = next((tells for fits, tells in _VERSIONS if fits.fullmatch(name.rpartition("/")[2])), None)
    head, tail, version = b"", b"", ""
    for chunk in body:
        head += chunk[: _HEAD - len(head)]
        if pattern is not None and not version:
            text = tail + chunk
            version = match[1].decode() if (match := pattern.search(text)) else ""
            tail = text[-_OVERLAP:]
    loader = _LOADER.search(head)
    return ScannedFile(
        name, "script" if head.startswith(b"#!") else "file", "", loader[1].decode() if loader else "", version
    )


def merged(scans: Iterable[LayerScan]) -> Mapping[str, ScannedFile]:
    """Lays scans over each other, lowest first, as layer.md says: a layer hides, and replaces, what is below it."""
    files: dict[str, ScannedFile] = {}
    for each in scans:
        gone = [*each.hidden, *(f"{file.path}/" for file in each.files if file.kind != "module")]
        for path in _below(files, gone):
            del files[path]
        files |= {file.path: file for file in each.files}
    return files


def _below(files: Mapping[str, ScannedFile], gone: list[str]) -> Iterator[str]:
    exact = {path.rstrip("/") for path in gone if not path.endswith("/")}
    folders = tuple({path if path.endswith("/") else f"{path}/" for path in gone})
    everything = "" in gone  # an opaque root
    return iter([path for path in files if everything or path in exact or path.startswith(folders)])
