"""A wheel as installed: PyPA's `installer` decides what goes where, and we note entries where others write files.

No member is decompressed to be listed. Only what an installer rewrites is read: scripts that begin with `#!python`.

| decision                 | value                   | why                                                                       |
|--------------------------|-------------------------|---------------------------------------------------------------------------|
| modes                    | 0664, 0775 if executable| group 0 has the owner's rights, so that any uid of group 0 works          |
| scripts                  | always 0775             | archives made on Windows lack the bit                                     |
| first line of a script   | {prefix}/bin/python     | packages don't depend on where the base keeps its interpreter             |
| launchers                | our own text            | `installer` may change its text with a release, and a key would then lie  |
| INSTALLER                | modelcrate              | pip and others see who may remove it                                      |
| REQUESTED, direct_url    | none                    | they tell about a project, and a wheel's layer is the same in all of them |
| bytecode, __pycache__    | none                    | it depends on the interpreter's build, and a wheel should not bring it    |
| RECORD                   | written anew            | with the wheel's own hashes for all that is unchanged                     |

POLICY is part of the key of every wheel layer: who changes a byte here raises it, and moves the golden digests.
"""

from __future__ import annotations

import base64
import configparser
import hashlib
import io
import os
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO, cast

from installer import install
from installer.destinations import WheelDestination
from installer.exceptions import InstallerError
from installer.records import Hash, RecordEntry
from installer.sources import WheelSource
from installer.utils import canonicalize_name, construct_record_file, fix_shebang

from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.packages.venv import Venv
from modelcrate_layers.packages.wheel import MAX_TEXT, Contents, Member, normal_version
from modelcrate_layers.tar import sources, tree
from modelcrate_layers.tar.sources import Bytes, Source
from modelcrate_layers.tar.tree import Entry

if TYPE_CHECKING:
    from installer.scripts import ScriptSection
    from installer.sources import WheelContentElement
    from installer.utils import Scheme

POLICY = 1
INSTALLER = b"modelcrate\n"
_OURS = frozenset({"INSTALLER", "REQUESTED", "direct_url.json"})
"""Files of .dist-info that describe an installation; those that a wheel brings are not used."""

_LAUNCHER = """\
#!{interpreter}
import sys

from {module} import {first}

if __name__ == "__main__":
    sys.exit({attribute}())
"""


def launcher(interpreter: str, module: str, attribute: str) -> bytes:
    """Returns the script that calls an entry point."""
    first = attribute.partition(".")[0]
    return _LAUNCHER.format(interpreter=interpreter, module=module, first=first, attribute=attribute).encode()


def entries(contents: Contents, venv: Venv) -> tuple[Entry, ...]:
    """Returns the files of a wheel where an installer would put them; a wheel that contradicts the format is an IntegrityError."""
    destination = _Destination(contents, venv)
    try:
        _check_data(contents)
        install(_Source(contents), destination, {"INSTALLER": INSTALLER})
    except (InstallerError, configparser.Error, AssertionError, ValueError) as fault:
        if isinstance(fault, AssertionError):  # installer asserts where an entry point is malformed
            fault = ValueError("entry_points.txt has an entry that is no MODULE:NAME")
        why = f"{type(fault).__name__}: {fault.args[-1] if fault.args else fault}".rstrip(": ")[:300]
        hint = "build or fetch this wheel again: it contradicts the format of wheels"
        raise IntegrityError("can't be installed", where=contents.wheel.filename, why=why, hint=hint) from None
    return tuple(destination.entries)


def _name(contents: Contents, member: Member) -> str:
    """A member's name, its `.data` folder spelled as the .dist-info is: wheels spell the project's name in several ways."""
    top, slash, rest = member.name.partition("/")
    stem = contents.dist_info.removesuffix(".dist-info")
    project, _, version = top.removesuffix(".data").rpartition("-")
    if not slash or not top.endswith(".data") or canonicalize_name(project) != contents.wheel.name:
        return member.name
    same = normal_version(version) == normal_version(stem.rpartition("-")[2])
    return f"{stem}.data/{rest}" if same else member.name


def _check_data(contents: Contents) -> None:
    """Nothing may lie in .data but below one of its schemes; installer would stumble over it."""
    data = contents.dist_info.removesuffix(".dist-info") + ".data"
    for member in contents.members:
        name = _name(contents, member)
        if name == data or (name.startswith(f"{data}/") and name.count("/") < 2):
            raise IntegrityError(f"{member.name} is in no scheme of .data", where=contents.wheel.filename)


class _Stream(io.BytesIO):
    """What installer hands from source to destination: no bytes, but the member that has them. It reads nothing itself."""

    def __init__(self, member: Member) -> None:
        super().__init__()
        self.member = member


class _Source(WheelSource):
    """A wheel for `installer.install`. Its names are the .dist-info's own, for a file's name may be spelled otherwise."""

    def __init__(self, contents: Contents) -> None:
        name, _, version = contents.dist_info.removesuffix(".dist-info").rpartition("-")
        super().__init__(name, version)
        self._contents = contents

    @property
    def dist_info_filenames(self) -> list[str]:
        start = f"{self._contents.dist_info}/"
        return [each.name[len(start) :] for each in self._contents.members if each.name.startswith(start)]

    def read_dist_info(self, filename: str) -> str:
        return self._contents.text(filename) or ""

    def get_contents(self) -> Iterator[WheelContentElement]:
        skipped = {f"{self._contents.dist_info}/{name}" for name in _OURS}
        for member in self._contents.members:
            if member.name not in skipped and "__pycache__" not in member.name.split("/"):
                size = str(member.source.size) if member.hash else ""
                yield (
                    (_name(self._contents, member), member.hash, size),
                    cast("BinaryIO", _Stream(member)),
                    member.executable,
                )


class _Destination(WheelDestination):
    """Collects entries. Not a frozen value: installer calls it file by file.

    A script that the wheel brings although an entry point makes it is passed over, as pip does; of two entry points of one name
    the later counts.
    """

    def __init__(self, contents: Contents, venv: Venv) -> None:
        self._entries: list[Entry] = []
        self._launchers: dict[str, tuple[Entry, RecordEntry]] = {}
        self._contents, self._venv = contents, venv

    @property
    def entries(self) -> list[Entry]:
        return [*(entry for entry, _ in self._launchers.values()), *self._entries]

    def write_script(self, name: str, module: str, attr: str, section: ScriptSection) -> RecordEntry:
        if not re.fullmatch(r"[^/\\\0\s](?:[^/\\\0\n\r]*[^/\\\0\s])?", name) or name in (".", ".."):
            raise ValueError(f"a script can't be called {name[:100]!r}")
        source = Bytes(launcher(self._venv.interpreter, module, attr))
        record = RecordEntry(name, Hash.parse(_hash(source)), source.size)
        self._launchers[name] = self._entry("scripts", name, source, executable=True), record
        return record

    def write_file(
        self, scheme: Scheme, path: str | os.PathLike[str], stream: BinaryIO, is_executable: bool
    ) -> RecordEntry:
        name = os.fspath(path)
        if scheme == "scripts" and name in self._launchers:
            return self._launchers[name][1]
        if not isinstance(stream, _Stream):
            return self._add(scheme, name, Bytes(stream.read()), is_executable)
        member = stream.member
        if scheme == "scripts":
            source = _script(member.source, self._venv.interpreter)
            if source is not member.source:
                return self._add(scheme, name, source, executable=True)
            is_executable = True
        return self._add(scheme, name, member.source, is_executable, member.hash)

    def finalize_installation(
        self, scheme: Scheme, record_file_path: str, records: Iterable[tuple[Scheme, RecordEntry]]
    ) -> None:
        project = self._contents.wheel.name

        def prefix(of: Scheme) -> str | None:
            return self._venv.from_site_packages(of, project) or None

        made = {(of, each.path): (of, each) for of, each in records}
        with construct_record_file(made.values(), prefix) as stream:
            self._add(scheme, record_file_path, Bytes(stream.read()), executable=False)

    def _add(self, scheme: str, path: str, source: Source, executable: bool, known: str = "") -> RecordEntry:
        self._entries.append(self._entry(scheme, path, source, executable))
        return RecordEntry(path, Hash.parse(known or _hash(source)), source.size)

    def _entry(self, scheme: str, path: str, source: Source, executable: bool) -> Entry:
        place = f"{self._venv.prefix[1:]}/{self._venv.folder(scheme, self._contents.wheel.name)}{path}"
        return tree.file(place.encode(), source, tree.PROGRAM_MODE if executable else tree.FILE_MODE)


def _script(source: Source, interpreter: str) -> Source:
    """The script with its first line rewritten, or the very source, where the line is none of `#!python`.

    Some wheels bring programs of 50 MB as scripts: only the beginning of such a one is read.
    """
    if not next(source.chunks(), b"").startswith(b"#!python"):
        return source
    if source.size > MAX_TEXT:
        raise ValueError(f"a script of {source.size} bytes; the limit is {MAX_TEXT}")
    with fix_shebang(io.BytesIO(sources.read(source)), interpreter) as stream:
        return Bytes(stream.read())


def _hash(source: Source) -> str:
    digest = hashlib.sha256(sources.read(source)).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).decode().rstrip("=")
