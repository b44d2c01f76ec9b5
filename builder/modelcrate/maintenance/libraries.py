"""The shared libraries of an image: what its programs need, and what its base gives. Facts of a layer are remembered by its digest."""

from __future__ import annotations

import tempfile
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import IO, cast

from modelcrate.events import Emit, track_chunks
from modelcrate.home.result_cache import ResultCache
from modelcrate.images.image import ImageLayer
from modelcrate.maintenance.elf import Elf, read_elf
from modelcrate.net.keyed_lock import KeyedLock
from modelcrate.resolve.scan import path_in_root
from modelcrate_layers.content import Digest, canonical_json, parse_object
from modelcrate_layers.errors import CrateError, IntegrityError
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.patterns import compile_later
from modelcrate_layers.tar import codec as codecs
from modelcrate_layers.tar.reader import Member, MemberKind, read_tar
from modelcrate_layers.tar.tree import show

VERSION = 1
"""Raised when facts are to be made anew."""

IN_MEMORY = 16 << 20
"""Bytes of a library that are held in memory while it is read; a larger one is in a temporary file."""

MAX_LIBRARIES = 100_000
"""Libraries, programs and links of one layer."""

_MAGIC = b"\x7fELF"
_LINK = compile_later(r".*\.so(\.[0-9A-Za-z._-]+)?|(usr/)?lib(64|32)?")
_PLACE = compile_later(r"((usr|usr/local)/)?lib(64|32)?/([^/]+-linux-[^/]+/)?[^/]+")
"""Where the dynamic linker looks on the usual systems, without the folders that an image names itself."""


@dataclass(frozen=True, slots=True)
class LayerLibraries:
    """What a layer has for the dynamic linker.

    Attributes:
        files: Libraries and programs by their paths.
        links: Symbolic and hard links to libraries, with their targets.
        hidden: Paths of lower layers that it hides (whiteouts); all below a folder, for one that ends in a slash.
        unread: Files that begin as libraries and are damaged, or of another kind.
    """

    files: Mapping[str, Elf] = field(default_factory=dict, hash=False)
    links: Mapping[str, str] = field(default_factory=dict, hash=False)
    hidden: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


NO_LIBRARIES = LayerLibraries()


@dataclass(frozen=True, slots=True)
class Libraries:
    """What several layers have together for the dynamic linker."""

    files: Mapping[str, Elf] = field(hash=False)
    links: Mapping[str, str] = field(hash=False)
    unread: tuple[str, ...] = ()
    _found: dict[str, Elf | None] = field(default_factory=dict, hash=False, compare=False, repr=False)

    @classmethod
    def of(cls, layers: Iterable[LayerLibraries]) -> Libraries:
        """Lays layers over each other, lowest first (layer.md)."""
        files: dict[str, Elf] = {}
        links: dict[str, str] = {}
        unread: list[str] = []
        for each in layers:
            unread += each.unread
            for path in [path for path in chain(files, links) if _is_hidden(path, each.hidden)]:
                files.pop(path, None)
                links.pop(path, None)
            for path in each.files:
                links.pop(path, None)
            for path in each.links:
                files.pop(path, None)
            files |= each.files
            links |= each.links
        return cls(files, links, tuple(unread))

    @property
    def names(self) -> frozenset[str]:
        """The names by which its files are found when they lie beside those that need them."""
        own = (path.rpartition("/")[2] for path in chain(self.files, self.links))
        return frozenset(chain(own, (each.name for each in self.files.values() if each.name)))

    def find(self, name: str) -> Elf | None:
        """Returns the library of a name in the folders where the dynamic linker looks; None if there is none."""
        if name not in self._found:
            self._found[name] = self._search(name)
        return self._found[name]

    def _search(self, name: str) -> Elf | None:
        for path, each in self.files.items():
            if path.endswith(f"/{name}") and _PLACE.fullmatch(path):
                return each
        for path, target in self.links.items():
            if path.endswith(f"/{name}") and _PLACE.fullmatch(path):
                real = target.rpartition("/")[2]
                if real != name and (found := self._search(real)) is not None:
                    return found
        return None


def _is_hidden(path: str, hidden: Iterable[str]) -> bool:
    return any(
        path == each or path.startswith(each if each.endswith("/") or not each else f"{each}/") for each in hidden
    )


_READING = KeyedLock()
_READ: OrderedDict[tuple[Path, Digest], LayerLibraries] = OrderedDict()
"""What this process has read last: many images have the same layers."""

_MOST_READ = 256


def read_libraries(layer: ImageLayer, cache: Path, emit: Emit) -> LayerLibraries:
    """Returns what a layer has for the dynamic linker: remembered, or read now, which checks the layer's digest.

    Of several threads that want the same layer, one reads it.

    Args:
        layer: The layer.
        cache: The folder of the cache.
        emit: Gets the progress.

    Raises:
        IntegrityError: The layer's bytes are not those of its digest, or are no tar.
    """
    key = (cache, layer.layer.descriptor.digest)
    with _READING.hold(key):
        found = _READ.pop(key, None) or _recall(layer, cache, emit)
        _READ[key] = found
        if len(_READ) > _MOST_READ:
            _READ.popitem(last=False)
        return found


def _recall(layer: ImageLayer, cache: Path, emit: Emit) -> LayerLibraries:
    known = ResultCache(cache / "libraries")
    question = [VERSION, str(layer.layer.descriptor.digest)]
    if (data := known.get(question)) is not None:
        try:
            return _parse(data)
        except (CrateError, KeyError, TypeError, ValueError):
            pass
    found = _read(layer, emit)
    value = {"files": {path: asdict(each) for path, each in found.files.items()}, "links": dict(found.links)}
    known.put(question, canonical_json({**value, "hidden": found.hidden, "unread": found.unread}))
    return found


def _parse(data: bytes) -> LayerLibraries:
    value = parse_object(data)
    files = {
        path: Elf(
            each["name"],
            tuple(each["needed"]),
            {name: tuple(versions) for name, versions in each["wants"].items()},
            tuple(each["gives"]),
        )
        for path, each in value["files"].items()
    }
    return LayerLibraries(files, value["links"], tuple(value["hidden"]), tuple(value["unread"]))


def _read(layer: ImageLayer, emit: Emit) -> LayerLibraries:
    files: dict[str, Elf] = {}
    links: dict[str, str] = {}
    hidden, unread = [], []
    descriptor = layer.layer.descriptor
    stored = track_chunks(layer.blob.chunks(), f"read libraries of {descriptor.digest.short}", descriptor.size, emit)
    for member in read_tar(codecs.decode(stored), held=True):
        path = show(path_in_root(member.name, f"layer {descriptor.digest.short}"))
        folder, slash, name = path.rpartition("/")
        if name.startswith(".wh."):
            hidden.append(folder + slash if name == ".wh..wh..opq" else f"{folder}{slash}{name[4:]}")
        elif member.kind in (MemberKind.SYMLINK, MemberKind.HARD_LINK):
            if _LINK.fullmatch(path):
                links[path] = show(member.link)
        elif member.kind is MemberKind.FILE and (body := _body(member)) is not None:
            with body:
                try:
                    if (found := read_elf(body)) is not None:
                        files[path] = found
                except IntegrityError:
                    unread.append(path)
        if len(files) + len(links) + len(hidden) > MAX_LIBRARIES:
            raise IntegrityError(f"has a layer with more than {MAX_LIBRARIES} libraries")
    return LayerLibraries(files, links, tuple(hidden), tuple(unread))


def _body(member: Member) -> IO[bytes] | None:
    """Returns the bytes of a file that begins as ELF files do, as a file that can be read at any place; None for another."""
    head = b""
    while len(head) < len(_MAGIC) and (chunk := next(member.body, b"")):
        head += chunk
    if not head.startswith(_MAGIC):
        return None
    file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - the caller closes it
    file.write(head)
    for chunk in member.body:
        file.write(chunk)
    return cast("IO[bytes]", file)
