"""Conda packages as linked into an environment, without conda: which files, where, and with which bytes. Nothing of a package is run.

| decision                | value                    | why                                                                          |
|-------------------------|--------------------------|------------------------------------------------------------------------------|
| modes                   | 0664, 0775 if executable | group 0 has the owner's rights, so that any uid of group 0 works             |
| python-scripts/         | always 0775              | packages without a platform may be made where there is no such bit           |
| the placeholder in text | is replaced              | what conda-build put in for the prefix, by `info/paths.json`                 |
| ... in binaries         | and NULs to the old length | offsets stay; the string in it ends earlier                                |
| site-packages/, python-scripts/ | Python's folder, bin/ | packages without a platform don't know which Python they will meet      |
| entry points            | our own launchers        | as for wheels                                                                |
| hard links              | files                    | each path has its own replaced prefix                                        |
| bytecode, __pycache__   | none                     | it is bound to times that a layer does not have, and no interpreter would take it |
| conda-meta/*.json       | written, without addresses | conda, mamba and scanners see what there is                                |
| link and activation scripts | stay, never run      | they change the machine that they run on                                     |

POLICY is part of the key of every layer of conda packages: who changes a byte here raises it.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelcrate_layers.content import CHUNK
from modelcrate_layers.errors import IntegrityError, UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.packages.conda import Contents, Linked, read_package, record
from modelcrate_layers.packages.pinned import CondaPackage
from modelcrate_layers.packages.venv import PREFIX, Venv
from modelcrate_layers.tar.reader import MemberKind
from modelcrate_layers.tar.sources import Bytes, Source, read
from modelcrate_layers.tar.tree import FILE_MODE, PROGRAM_MODE, Entry, Kind, directory, file, symlink

POLICY = 1

MAX_RELOCATED = 1 << 30
"""Bytes of a file in which a placeholder is replaced: it is held in memory for it. The largest known is libpython with 30 MiB."""


@dataclass(frozen=True, slots=True)
class Relocated:
    """A file with its placeholder replaced by the prefix. A binary keeps its length; a text's new length is counted beforehand."""

    original: Source
    placeholder: bytes
    prefix: bytes
    binary: bool
    size: int

    def chunks(self) -> Iterator[bytes]:
        """Yields the bytes with the prefix replaced, in pieces of at most CHUNK."""
        data = self._replaced()
        for start in range(0, len(data), CHUNK):
            yield data[start : start + CHUNK]

    def _replaced(self) -> bytes:
        data = read(self.original)
        return (
            in_binary(data, self.placeholder, self.prefix)
            if self.binary
            else data.replace(self.placeholder, self.prefix)
        )


def in_binary(data: bytes, placeholder: bytes, prefix: bytes) -> bytes:
    """Replaces the placeholder in every string that a NUL ends, and fills the string up with NULs. The prefix is no longer."""
    out: list[bytes] = []
    done = 0
    while (at := data.find(placeholder, done)) >= 0:
        end = data.find(b"\0", at)
        end = len(data) if end < 0 else end
        string = data[at:end].replace(placeholder, prefix)
        out += [data[done:at], string, bytes(end - at - len(string))]
        done = end
    return b"".join((*out, data[done:]))


def entries(package: CondaPackage, python: str, prefix: str = PREFIX) -> tuple[Entry, ...]:
    """Returns the files of a package where an installer would put them. `python` is the environment's, or empty where it has none."""
    contents = read_package(package)
    if contents.noarch_python and not python:
        raise UserError(
            f"{package} is for Python, and the environment has none", hint="add python to the conda packages"
        )
    root = prefix[1:].encode()
    found = [each for linked in contents.linked if (each := _entry(contents, linked, python, prefix)) is not None]
    found += _launchers(contents, prefix)
    below = [each.path[len(root) + 1 :] for each in found if each.kind is not Kind.DIRECTORY]
    note = f"{package.name}-{package.version}-{package.build}.json".encode()
    return (*found, file(root + b"/conda-meta/" + note, Bytes(record(contents, below))))


def _entry(contents: Contents, linked: Linked, python: str, prefix: str) -> Entry | None:
    """A path of a package in its place; None for what is left out."""
    if "__pycache__" in linked.path.split("/"):
        return None
    item = contents.members.get(linked.path.encode("utf-8", "surrogateescape"))
    if item is None:
        raise IntegrityError(f"{linked.path} is listed, and not there", where=str(contents.package.path))
    place = f"{prefix[1:]}/{_placed(contents, linked.path, python, prefix)}".encode("utf-8", "surrogateescape")
    if item.kind is MemberKind.SYMLINK:
        return symlink(place, item.link)
    if item.kind is MemberKind.DIRECTORY:
        return directory(place)
    real = item if item.source is not None else contents.members.get(item.link)
    if real is None or real.source is None:
        raise IntegrityError(f"{linked.path} is a link to what isn't there", where=str(contents.package.path))
    script = contents.noarch_python and linked.path.startswith("python-scripts/")
    executable = real.mode & 0o111 or script
    return file(place, _relocated(contents, linked, real.source, prefix), PROGRAM_MODE if executable else FILE_MODE)


def _placed(contents: Contents, path: str, python: str, prefix: str) -> str:
    top, _, rest = path.partition("/")
    if contents.noarch_python and top == "site-packages":
        return Venv(python, prefix).folder("purelib", "") + rest
    return f"bin/{rest}" if contents.noarch_python and top == "python-scripts" else path


def _relocated(contents: Contents, linked: Linked, source: Source, prefix: str) -> Source:
    if not linked.placeholder:
        return source
    where = str(contents.package.path)
    if source.size > MAX_RELOCATED:
        raise IntegrityError(f"{linked.path} has more than {MAX_RELOCATED} bytes and a prefix in it", where=where)
    new = prefix.encode()
    if linked.binary:
        if len(new) > len(linked.placeholder):
            raise IntegrityError(f"{linked.path} has no room for the prefix {prefix}", where=where)
        return Relocated(source, linked.placeholder, new, True, source.size)
    more = len(new) - len(linked.placeholder)
    return Relocated(
        source, linked.placeholder, new, False, source.size + more * read(source).count(linked.placeholder)
    )


def _launchers(contents: Contents, prefix: str) -> Iterator[Entry]:
    if not contents.entry_points:
        return
    from modelcrate_layers.packages.wheel_install import launcher

    for name, module, attribute in contents.entry_points:
        text = launcher(f"{prefix}/bin/python", module, attribute)
        yield file(f"{prefix[1:]}/bin/{name}".encode(), Bytes(text), PROGRAM_MODE)
