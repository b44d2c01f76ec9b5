"""What one layer has, for the map: its files with their sizes, whose they are, and the tensors in them. Each file is passed once.

Packages say themselves which files are theirs: RECORD of a wheel, md5sums or `*.list` of Debian's, the record of conda.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import fields
from itertools import islice
from typing import Any

from modelcrate.images.image import ImageLayer
from modelcrate.modelfiles.tensor_places import MAX_HEAD, TensorPlace, head_size, list_tensors
from modelcrate.security.sbom import installed
from modelcrate.security.sbom.layer_scan import MAX_STATUS, MAX_TEXT, LayerFile, layer_files
from modelcrate_layers.content import parse_object
from modelcrate_layers.errors import CrateError, IntegrityError
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.patterns import compile_later
from modelcrate_layers.tar.tree import show

MAX_FILES = 200_000
"""Files of a layer that are listed one by one; the others are counted. The largest public images have about half a million."""

MAX_NAMES = 32 << 20
"""Characters of all names of a layer."""

MAX_PATH = 1000
"""Characters of a path. What is longer is cut: no package has such a file."""

MAX_TOLD = 64 << 20
"""Bytes of all records of packages in a layer that are read. Those of the largest public images have some 20 MB."""

MAX_PACKAGES = 20_000
"""Packages of a layer that it may tell of."""

MAX_REQUIREMENTS = 1000
"""Requirements of a package that are kept, and the characters of each."""

MAX_TENSORS = 50_000
"""Tensors of a layer; a file that has more than are left is shown without them."""

_WHEEL = compile_later(r"((?:.*/)?(?:site|dist)-packages)/[^/]+\.dist-info/(METADATA|RECORD)")
_CONDA = compile_later(r"((?:.*/)?)conda-meta/[^/]+\.json")
_STATUS = compile_later(r"var/lib/dpkg/(?:status|status\.d/(?:(?!\.md5sums$)[^/])+)")
_SUMS = compile_later(r"var/lib/dpkg/(?:status\.d|info)/([^/:]+)(?::[a-z0-9-]+)?\.md5sums")
_LIST = compile_later(r"var/lib/dpkg/info/([^/:]+)(?::[a-z0-9-]+)?\.list")
_FORMATS = compile_later(r".*\.(safetensors|gguf)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PackageFiles:
    """What a layer tells of a package.

    Attributes:
        kind: deb, wheel or conda.
        name: Its name.
        version: Its version; empty where the layer only lists its files.
        requires: What it requires, in the words of its kind.
        files: Its paths in the image, in the layers of this and other roles.
    """

    kind: str
    name: str
    version: str = ""
    requires: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of one layer.

    Attributes:
        files: Paths with their bytes, unpacked.
        packages: The packages that it tells of.
        tensors: The tensors of model files, by path.
        more: The number of further files, and their bytes.
    """

    files: tuple[tuple[str, int], ...] = ()
    packages: tuple[PackageFiles, ...] = ()
    tensors: dict[str, tuple[TensorPlace, ...]] = field(default_factory=dict, hash=False)
    more: tuple[int, int] = (0, 0)

    def json(self) -> dict[str, Any]:
        """Returns the listing as JSON."""
        return {
            "files": [list(each) for each in self.files],
            "packages": [[getattr(each, name) for name in _PACKAGE] for each in self.packages],
            "tensors": {path: [[each.name, each.what, each.size] for each in of] for path, of in self.tensors.items()},
            "more": list(self.more),
        }

    @classmethod
    def parse(cls, value: dict[str, Any]) -> Listing:
        """Parses what `json` returned.

        Raises:
            IntegrityError: It is malformed.
        """
        try:
            return cls(
                tuple((str(path), int(size)) for path, size in value["files"]),
                tuple(
                    PackageFiles(str(kind), str(name), str(version), tuple(requires), tuple(files))
                    for kind, name, version, requires, files in value["packages"]
                ),
                {path: tuple(TensorPlace(*each) for each in of) for path, of in value["tensors"].items()},
                (int(value["more"][0]), int(value["more"][1])),
            )
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            raise IntegrityError("malformed listing of a layer") from None


_PACKAGE = tuple(each.name for each in fields(PackageFiles))


def list_layer(layer: ImageLayer) -> Listing:
    """Returns the listing of a layer, which is read to its end.

    Raises:
        IntegrityError: An existing layer is damaged, or differs from its diff id.
    """
    return _Collecting().listing(layer_files(layer))


class _Collecting:
    """What was found so far. Not a value, because it changes with every file."""

    def __init__(self) -> None:
        self.files: list[tuple[str, int]] = []
        self.tensors: dict[str, tuple[TensorPlace, ...]] = {}
        self.told: list[PackageFiles] = []
        self.wheels: dict[str, list[PackageFiles]] = {}
        self.names = self.count = self.size = self.held = self.read = 0

    def listing(self, items: Iterator[LayerFile]) -> Listing:
        for item in items:
            path = show(item.path)[:MAX_PATH]
            self._file(path, item.size)
            self._packages(path, item)
            if _FORMATS.fullmatch(path):
                self._tensors(path, item)
        merged: list[PackageFiles] = [*self.told]
        for parts in islice(self.wheels.values(), MAX_PACKAGES):  # METADATA and RECORD of one wheel
            named = next((each for each in parts if each.name), None)
            if named is not None:
                files = tuple(path for each in parts for path in each.files)
                merged.append(PackageFiles("wheel", named.name, named.version, named.requires, files))
        return Listing(tuple(sorted(self.files)), tuple(self._bounded(merged)), self.tensors, (self.count, self.size))

    def _bounded(self, packages: list[PackageFiles]) -> Iterator[PackageFiles]:
        """Yields packages with as many of their requirements and paths as there is room for."""
        room = MAX_NAMES
        for each in packages[:MAX_PACKAGES]:
            requires = tuple(text for text in each.requires[:MAX_REQUIREMENTS] if len(text) <= MAX_REQUIREMENTS)
            room -= sum(map(len, requires)) + sum(map(len, each.files))
            yield PackageFiles(each.kind, each.name, each.version, requires, each.files if room > 0 else ())

    def _file(self, path: str, size: int) -> None:
        if len(self.files) < MAX_FILES and self.names + len(path) <= MAX_NAMES:
            self.files.append((path, size))
            self.names += len(path)
        else:
            self.count, self.size = self.count + 1, self.size + size

    def _packages(self, path: str, item: LayerFile) -> None:
        if match := _WHEEL.fullmatch(path):
            data = self._data(item)
            made = _metadata(data) if match[2] == "METADATA" else [PackageFiles("", "", files=_record(match[1], data))]
            self.wheels.setdefault(path.rpartition("/")[0], []).extend(made)
        elif match := _CONDA.fullmatch(path):
            self.told += _conda(match[1], self._data(item))
        elif match := _SUMS.fullmatch(path):
            lines = self._data(item).decode("utf-8", "replace").splitlines()
            self.told.append(PackageFiles("deb", match[1], files=tuple(_both(line[34:] for line in lines))))
        elif match := _LIST.fullmatch(path):
            lines = self._data(item).decode("utf-8", "replace").splitlines()
            self.told.append(PackageFiles("deb", match[1], files=tuple(_both(line.lstrip("/") for line in lines))))
        elif _STATUS.fullmatch(path):
            self.told += _debs(self._data(item, MAX_STATUS))

    def _data(self, item: LayerFile, limit: int = MAX_TEXT) -> bytes:
        """Returns the bytes of a record; none where it, or all records together, are too large."""
        self.read += item.size if item.size <= limit else 0
        return item.small(limit) if self.read <= MAX_TOLD else b""

    def _tensors(self, path: str, item: LayerFile) -> None:
        chunks, head = item.chunks(), b""
        wanted = 16
        while len(head) < wanted and (chunk := next(chunks, b"")):
            head += chunk
            if wanted == 16 and len(head) >= 16:
                wanted = min(head_size(head), item.size, MAX_HEAD)
        found = list_tensors(head, item.size)
        if found and self.held + len(found) <= MAX_TENSORS:
            self.held += len(found)
            self.tensors[path] = found


def _metadata(data: bytes) -> Iterator[PackageFiles]:
    lines = data.decode("utf-8", "replace").partition("\n\n")[0].splitlines()
    requires = (line.partition(": ")[2].strip() for line in lines if line.lower().startswith("requires-dist: "))
    for part in installed.wheel(data):
        yield PackageFiles("wheel", part.name, part.version, tuple(requires))


def _record(site: str, data: bytes) -> tuple[str, ...]:
    """Returns the paths in a RECORD, from the image's root on."""
    paths = (line.rsplit(",", 2)[0].strip('"') for line in data.decode("utf-8", "replace").splitlines() if line)
    return tuple(
        posixpath.normpath(f"/{site}/{path}")[1:] if path.startswith((".", "/")) else f"{site}/{path}" for path in paths
    )


def _conda(prefix: str, data: bytes) -> Iterator[PackageFiles]:
    for part in installed.conda(data):
        record = parse_object(data)
        files, depends = record.get("files"), record.get("depends")
        yield PackageFiles(
            "conda",
            part.name,
            part.version,
            tuple(map(str, depends)) if isinstance(depends, list) else (),
            tuple(f"{prefix}{each}" for each in files) if isinstance(files, list) else (),
        )


def _debs(status: bytes) -> Iterator[PackageFiles]:
    """Yields the packages of a dpkg status file with what they depend on. What they provide follows as `Provides: NAME`."""
    from modelcrate_layers.packages.deb import fields as control_fields

    for stanza in status.decode("utf-8", "replace").split("\n\n"):
        for part in installed.debs(stanza.encode()):
            try:
                found = control_fields(stanza.strip("\n"))
            except CrateError:
                continue
            words = [each.strip() for key in ("Pre-Depends", "Depends") for each in found.get(key, "").split(",")]
            given = [f"Provides: {each.strip()}" for each in found.get("Provides", "").split(",") if each.strip()]
            yield PackageFiles("deb", part.name, part.version, (*filter(None, words), *given))


def _both(paths: Iterator[str]) -> Iterator[str]:
    """Yields paths of Debian packages, and where they are when /lib and /bin are links into /usr."""
    for path in paths:
        yield path
        if path.startswith(("lib", "bin/", "sbin/")):
            yield f"usr/{path}"
