"""The Python and the C library of a base, from the scans of its layers. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from modelcrate.resolve.scan import ScannedFile
from modelcrate.resolve.standard_library import IN_C, standard_library
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.patterns import compile_later
from modelcrate_layers.tar.tree import follow_links

_NAME = compile_later(r"(.*/)?python(3\.[0-9]{1,2})")
_PATH = ("/usr/local/bin", "/usr/bin", "/bin")
"""Where interpreters are looked for after the base's own PATH."""


@dataclass(frozen=True, slots=True)
class Libc:
    """A C library, which decides what wheels run (PEP 600 for glibc, PEP 656 for musl).

    Attributes:
        name: `glibc` or `musl`.
        version: Major and minor.
    """

    name: str
    version: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.name} {self.version[0]}.{self.version[1]}"


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python of a base.

    Attributes:
        path: Absolute, with all links followed.
        python: Its version, major and minor.
        full: All of its version, out of its header; empty where that is not in the base.
        loader: The dynamic loader that it asks for; empty for one that is no ELF program.
    """

    path: str
    python: str
    full: str = ""
    loader: str = ""


def interpreters(files: Mapping[str, ScannedFile], path: Iterable[str]) -> list[Interpreter]:
    """Returns the Pythons of a base: what `python3` and `python` mean on its PATH first, then all others by their paths."""
    folders = (*path, *_PATH)
    named = [f"{folder.rstrip('/')}/{name}" for folder in folders for name in ("python3", "python")]
    others = sorted(f"/{each}" for each in files if _NAME.fullmatch(each))
    on_path = [each for folder in folders for each in others if each.rpartition("/")[0] == folder.rstrip("/")]
    found = (find_interpreter(files, each) for each in (*named, *on_path, *others))
    return list({each.path: each for each in found if each is not None}.values())


def find_interpreter(files: Mapping[str, ScannedFile], path: str) -> Interpreter | None:
    """Returns the Python at a path, which may be a link to it; None where there is none."""
    real = follow(files, path)
    file = files.get(real)
    name = _NAME.fullmatch(real)
    if file is None or name is None or file.kind != "file":
        return None
    header = files.get(f"{real.rpartition('bin/')[0]}include/python{name[2]}/patchlevel.h")
    return Interpreter(f"/{real}", name[2], header.version if header is not None else "", file.loader)


def unfit(files: Mapping[str, ScannedFile]) -> Mapping[str, str]:
    """Returns the Pythons of a base that no wheel is chosen for, and why, by their absolute paths."""
    found = {}
    for path, each in sorted(files.items()):
        name = path.rpartition("/")[2]
        if each.kind == "link" or not re.fullmatch(r"(?:.+/)?bin/[^/]+", path):
            continue
        if each.kind == "script":
            found[f"/{path}"] = "is a script, which starts some other program"
        elif name.startswith("pypy"):
            found[f"/{path}"] = "is PyPy, and the packages here are built for CPython"
        elif name.endswith("t"):
            found[f"/{path}"] = "is free-threaded, and the packages here are built for the usual Python"
    return found


def lacking_modules(
    files: Mapping[str, ScannedFile], seen: Iterable[str], found: Interpreter, *, complete: bool
) -> frozenset[str]:
    """Returns the top modules of the standard library that an interpreter does not have: a layer takes them away, or none brings them.

    Args:
        files: The files of the base.
        seen: The paths of all modules in its layers, whether a layer above hides them or not.
        found: The interpreter.
        complete: Whether all layers have been looked at.
    """
    prefix = found.path.rpartition("/bin/")[0]
    folders = [f"{follow(files, f'{prefix}/{name}/python{found.python}')}/" for name in ("lib", "lib64")]

    def modules(paths: Iterable[str]) -> set[str]:
        inside = (path.removeprefix(folder) for path in paths for folder in folders if path.startswith(folder))
        return {path.partition("/")[0].partition(".")[0] for path in inside}

    present, known = modules(path for path, each in files.items() if each.kind == "module"), modules(seen)
    if complete and "os" in known:  # else its library is in a zip, or at another place
        known |= {name for name in standard_library(found.python) - IN_C if not name.startswith("_")}
    return frozenset(known - present)


def find_libc(files: Mapping[str, ScannedFile], loader: str = "") -> Libc | None:
    """Returns the C library of a base: the one that the interpreter's loader is of, where a base has both kinds."""
    if "musl" not in loader:
        versions = [each.version for path, each in files.items() if "libc" in path and "musl" not in path]
        known = [_pair(version) for version in versions if version]
        if known:
            return Libc("glibc", max(known))
        if loader:
            return None
    musl = [each.version for path, each in files.items() if "musl" in path and each.kind == "file"]
    if not musl and "musl" not in loader:
        return None
    return Libc("musl", max((_pair(version) for version in musl if version), default=(1, 1)))


def follow(files: Mapping[str, ScannedFile], path: str) -> str:
    """Returns where a path leads, below the root and without a leading slash, with all known links on the way followed."""

    def target_of(place: str) -> str | None:
        here = files.get(place)
        return here.target if here is not None and here.kind == "link" else None

    return follow_links(path, target_of)


def names(found: Iterable[Interpreter]) -> str:
    """Returns interpreters in words, for a message."""
    return ", ".join(f"{each.path} ({each.full or each.python})" for each in found) or "none"


def _pair(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)
