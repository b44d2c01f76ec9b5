"""This machine's own Python as Debian packages: a compiler of bytecode that runs, without a download."""

from __future__ import annotations

import functools
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from modelcrate_layers.kinds.debian import Deb
from modelcrate_layers.packages.compiler import NEWEST, Compiler
from support.debs import Put, keep_deb

PROGRAM = Path("/usr/bin/python3")
VERSION = "1-1"
"""The version of the packages."""


def needs_compiler() -> None:
    """Skips a test where the system has no Python as Debian and Ubuntu build it."""
    if sys.platform != "linux" or not PROGRAM.exists() or tuple(map(int, system_python().split("."))) > NEWEST:
        pytest.skip("the system has no Python that compiles")


@functools.cache
def system_python() -> str:
    """Its version, major and minor."""
    asked = [PROGRAM, "-I", "-S", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def compiler(cache: Path) -> Compiler:
    """Returns the compiler in the system's Python, of packages in a cache."""
    needs_compiler()
    return Compiler.of(system_python(), compiler_debs(cache))


def compiler_debs(cache: Path) -> tuple[Deb, ...]:
    """The packages of the compiler."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return tuple(
        keep_deb(cache, name, members, VERSION, architecture=machine, suffix="")
        for name, members in members_by_package().items()
    )


@functools.cache
def members_by_package() -> dict[str, list[Put]]:
    """The files of these packages, as this machine has them."""
    python, triplet = system_python(), f"{platform.machine()}-linux-gnu"
    library = Path(f"/usr/lib/python{python}")
    told = subprocess.run(["ldd", PROGRAM.resolve()], capture_output=True, text=True, check=True).stdout
    needed = [Path(each) for each in re.findall(r"(/\S+)", told)]
    plain = [library / f"{name}.py" for name in ("__future__", "abc", "codecs", "io", "os")]
    program = Put(f"./usr/bin/python{python}", PROGRAM.resolve().read_bytes(), mode=0o755)
    return {
        f"python{python}-minimal": [program],
        f"libpython{python}-minimal": [
            Put(f".{each}", each.read_bytes()) for each in (*plain, *sorted(library.glob("encodings/*.py")))
        ],
        "libc6": [Put(f"./lib/{triplet}/{each.name}", each.read_bytes(), mode=0o755) for each in needed],
    }
