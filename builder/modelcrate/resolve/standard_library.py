"""The standard libraries of Python 3.9 to 3.14: which of them has a module, a name in it, or an argument of a function."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

OLDEST, NEWEST = 9, 14
"""The minor versions that the list is about."""

DEBIAN_APART: Mapping[str, str] = {
    "tkinter": "python3-tk",
    "turtle": "python3-tk",
    "idlelib": "",
    "turtledemo": "",
    "lib2to3": "python3-lib2to3",
    "ensurepip": "python3-venv",
    **{
        f"distutils.{name}": "python3-distutils"
        for name in (
            *("archive_util", "ccompiler", "cmd", "command", "config", "core", "cygwinccompiler", "debug", "dep_util"),
            *("dir_util", "dist", "errors", "extension", "fancy_getopt", "file_util", "filelist", "log", "spawn"),
            *("sysconfig", "text_file", "unixccompiler", "util", "versionpredicate"),
        )
    },
}
"""Modules that Debian and Ubuntu have in a package of their own, which a base has only where it is asked for; empty: in none that helps."""


IN_C = frozenset(
    [
        *(
            "array",
            "atexit",
            "audioop",
            "binascii",
            "builtins",
            "cmath",
            "crypt",
            "errno",
            "faulthandler",
            "fcntl",
            "gc",
            "grp",
        ),
        *(
            "itertools",
            "marshal",
            "math",
            "mmap",
            "msilib",
            "msvcrt",
            "nis",
            "nt",
            "ossaudiodev",
            "parser",
            "posix",
            "pwd",
        ),
        *(
            "pyexpat",
            "readline",
            "resource",
            "select",
            "spwd",
            "sys",
            "syslog",
            "termios",
            "time",
            "unicodedata",
            "winreg",
        ),
        *("winsound", "xxlimited", "xxsubtype", "zipimport", "zlib"),
    ]
)
"""Modules that no Python on Linux has as a file in its library's folder: they are in the program, in lib-dynload, or for Windows."""


def standard_library(minor: str) -> frozenset[str]:
    """Returns the top modules of the standard library of a Python, given by two numbers, such as 3.11."""
    number = int(minor.partition(".")[2])
    varying = {name: found for name, found in _ranges().items() if "." not in name}
    lacking = {name for name, (first, last) in varying.items() if not first <= number <= last}
    return frozenset((sys.stdlib_module_names | varying.keys()) - lacking)


def versions_with(name: str) -> tuple[int, int] | None:
    """Returns the first and last minor version that has a module, a name in it (`datetime.UTC`) or an argument (`dataclasses.dataclass(slots)`).

    Returns None for what all of them have, and for what none is known to have.
    """
    return _ranges().get(name)


@cache
def _ranges() -> Mapping[str, tuple[int, int]]:
    lines = Path(__file__).with_name("standard_library.txt").read_text("utf-8").splitlines()
    rows = (line.split() for line in lines if not line.startswith("#"))
    return {name: (int(first), int(last)) for name, first, last in rows}
