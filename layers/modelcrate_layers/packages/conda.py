"""Conda packages as values: the archive, its own metadata, and how each of its files is linked. All of it is untrusted.

Both formats are read: `.conda` (a zip with one zstd tar of the files and one of what the package says of itself) and `.tar.bz2` (one tar
with both). The tars are kept plain in the cache, beside the package, and a member is a range of such a file. Nothing of a package is run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from modelcrate_layers.content import CHUNK, parse_object
from modelcrate_layers.errors import CrateError, IntegrityError, SourceError, unreadable
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.packages import checked, deb
from modelcrate_layers.packages.deb import Item
from modelcrate_layers.packages.pinned import CondaPackage
from modelcrate_layers.tar import codec
from modelcrate_layers.tar.sources import FileRange, read
from modelcrate_layers.tar.tree import show

MAX_DATA = 16 << 30
"""Bytes of an unpacked package; the largest of conda-forge (CUDA libraries) unpack to some 4 GiB."""

MAX_TEXT = 64 << 20
"""Bytes of a package's own list of its files; the longest have a hundred thousand lines."""

_PLACEHOLDER = "/opt/anaconda1anaconda2anaconda3"
"""What a line of `info/has_prefix` without a placeholder of its own stands for (conda-build's oldest form)."""


@dataclass(frozen=True, slots=True)
class Linked:
    """How a file of a package is put into place. `placeholder` is the prefix that is replaced in it; `binary`: within its length."""

    path: str
    placeholder: bytes = b""
    binary: bool = False


@dataclass(frozen=True, slots=True)
class Contents:
    """A package's facts (`info/index.json`), its files in their order, and the members that hold them, by path."""

    package: CondaPackage
    index: Mapping[str, Any] = field(hash=False)
    linked: tuple[Linked, ...]
    members: Mapping[bytes, Item] = field(hash=False, repr=False)
    entry_points: tuple[tuple[str, str, str], ...] = ()
    """Launchers to be made, for packages without a platform: name, module, attribute."""

    @property
    def noarch_python(self) -> bool:
        """Whether the files go where the Python of the environment has its packages."""
        return self.index.get("noarch") == "python"

    @property
    def scripts(self) -> tuple[str, ...]:
        """What an installer would run when it links the package, or a shell when it enters the environment; here nothing does."""
        wanted = re.compile(r"(bin/\.[^/]+-(pre|post)-link\.sh|etc/conda/activate\.d/[^/]+\.sh)")
        return tuple(each.path for each in self.linked if wanted.fullmatch(each.path))


def read_package(package: CondaPackage) -> Contents:
    """Reads a package of the cache, which is unpacked beside it once. What contradicts the format is an IntegrityError."""
    try:
        tars = _unpacked(package)
        members = {item.path: item for tar in tars for item in deb.items(tar)}
        info = {path[5:].decode(): item for path, item in members.items() if path.startswith(b"info/")}
        index = _object(info, "index.json")
        stated = tuple(str(index.get(key)) for key in ("name", "version", "build"))
        if stated != (package.name, package.version, package.build):
            raise IntegrityError(f"says that it is {' '.join(stated)}, not {package}")
        linked = tuple(_linked(info))
        return Contents(package, index, linked, members, tuple(_entry_points(info)))
    except (IntegrityError, SourceError) as fault:
        raise fault if fault.where else type(fault)(fault.what, where=str(package.path), why=fault.why) from None


def _unpacked(package: CondaPackage) -> tuple[Path, ...]:
    """The plain tars of a package beside it, made once (`checked.unpack`)."""
    names = ("pkg", "info") if package.filename.endswith(".conda") else ("all",)
    tars = {package.path.parent / f"{name}.tar": _plain(package, name) for name in names}
    checked.unpack(package, tars)
    return tuple(tars)


def _plain(package: CondaPackage, part: str) -> Iterator[bytes]:
    left = MAX_DATA
    for chunk in codec.decode(_packed(package, part)):
        left -= len(chunk)
        if left < 0:
            raise IntegrityError(f"unpacks to more than {MAX_DATA} bytes")
        yield chunk


def _packed(package: CondaPackage, part: str) -> Iterator[bytes]:
    """The compressed tar in a package."""
    if part == "all":
        yield from FileRange.of_file(str(package.path)).chunks()
        return
    import zipfile  # only here: who has the layer already doesn't need it

    name = f"{part}-{package.filename.removesuffix('.conda')}.tar.zst"
    try:
        with zipfile.ZipFile(package.path) as archive, archive.open(name) as member:
            while chunk := member.read(CHUNK):
                yield chunk
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, EOFError, ValueError) as fault:
        raise IntegrityError(f"is no conda package: {name}: {fault}") from None
    except OSError as fault:
        raise unreadable(fault, "") from None


def _text(info: Mapping[str, Item], name: str) -> str:
    """Returns a text of the package's metadata; empty where it is missing."""
    item = info.get(name)
    if item is None or item.source is None:
        return ""
    if item.source.size > MAX_TEXT:
        raise IntegrityError(f"info/{name} has more than {MAX_TEXT} bytes")
    return read(item.source).decode("utf-8", "surrogateescape")


def _object(info: Mapping[str, Item], name: str) -> Mapping[str, Any]:
    try:
        return parse_object(_text(info, name).encode("utf-8", "surrogateescape") or b"{}")
    except CrateError as fault:
        raise IntegrityError(f"info/{name}: {fault.what}") from None


def _linked(info: Mapping[str, Item]) -> Iterator[Linked]:
    """The files to be linked: from `paths.json`, or from the lists of older packages."""
    if "paths.json" in info:
        paths = _object(info, "paths.json").get("paths")
        if not isinstance(paths, list) or not all(isinstance(each, dict) for each in paths):
            raise IntegrityError("info/paths.json has no list of paths")
        for each in paths:
            placeholder = each.get("prefix_placeholder") or ""
            if not isinstance(each.get("_path"), str) or not isinstance(placeholder, str):
                raise IntegrityError("info/paths.json has a path that is no text")
            yield Linked(each["_path"], _bytes(placeholder), each.get("file_mode") == "binary")
        return
    prefixes = dict(map(_has_prefix, _lines(info, "has_prefix")))
    for path in _lines(info, "files"):
        yield prefixes.get(path, Linked(path))


def _lines(info: Mapping[str, Item], name: str) -> list[str]:
    return [line.strip() for line in _text(info, name).splitlines() if line.strip()]


def _has_prefix(line: str) -> tuple[str, Linked]:
    """A line of `has_prefix`: a path, or placeholder, mode and path, each in quotes where it has blanks."""
    parts = [a or b for a, b in re.findall(r'"([^"]*)"|(\S+)', line)]
    placeholder, mode, path = parts if len(parts) == 3 else (_PLACEHOLDER, "text", line)
    return path, Linked(path, _bytes(placeholder), mode == "binary")


def _entry_points(info: Mapping[str, Item]) -> Iterator[tuple[str, str, str]]:
    """`name = module:attribute`, from `link.json`."""
    noarch = _object(info, "link.json").get("noarch") if "link.json" in info else None
    points: object = noarch.get("entry_points") if isinstance(noarch, dict) else None
    for line in points if isinstance(points, list) else ():
        found = re.fullmatch(r"\s*([\w.+-]+)\s*=\s*([\w.]+)\s*:\s*([\w.]+)\s*", str(line))
        if found is None:
            raise IntegrityError(f"info/link.json has an entry point that is none: {str(line)[:100]!r}")
        yield found[1], found[2], found[3]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def record(contents: Contents, paths: Iterable[bytes]) -> bytes:
    """Returns what an installer notes in `conda-meta`, for tools that look there: the package's own facts, and the files that are in place.

    No address: where a package came from is no part of what it is.
    """
    package, index = contents.package, contents.index
    kept = (
        "arch",
        "build_number",
        "constrains",
        "depends",
        "license",
        "license_family",
        "noarch",
        "platform",
        "subdir",
    )
    value = {key: index[key] for key in (*kept, "timestamp") if key in index} | {
        "name": package.name,
        "version": package.version,
        "build": package.build,
        "build_number": index.get("build_number") or 0,
        "fn": package.filename,
        "sha256": package.sha256,
        "size": package.size,
        "channel": "",
        "url": f"file:///{package.filename}",
        "files": [show(path) for path in sorted(paths)],
    }
    return json.dumps(value, indent=1, sort_keys=True).encode() + b"\n"
