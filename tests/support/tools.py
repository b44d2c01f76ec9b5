"""Other people's programs: whether they are here, and how they are called."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.waiting import HANG


def cache() -> Path:
    """Where tests find and keep other people's tools."""
    return Path(os.environ.get("MODELCRATE_TEST_CACHE", Path.home() / ".cache" / "modelcrate-tests"))


PATH = os.pathsep.join(
    [os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin", str(cache() / "sid" / "bin")]
)
"""Where programs are looked for; what only Debian's sid has, in the cache (tools/install-judges.sh)."""

PACKAGES = {
    "bsdtar": "libarchive-tools",
    "ctr": "containerd",
    "docker": "docker.io",
    "dockerd": "docker.io",
    "flatc": "flatbuffers-compiler",
    "gzip": "gzip",
    "tar": "tar",
}
"""The Debian packages of programs that are called otherwise."""


def need(*programs: str, root: bool = False) -> None:
    """Skip the test, saying which program it lacks."""
    lacking = [name for name in programs if shutil.which(name, path=PATH) is None]
    if lacking:
        packages = sorted({PACKAGES.get(name, name) for name in lacking})
        pytest.skip(f"{', '.join(lacking)} not installed (Debian packages: {' '.join(packages)})")
    if root and os.geteuid() != 0:
        pytest.skip(f"{', '.join(programs)} here needs root")


def call(*words: str | Path, environment: Mapping[str, str] | None = None, timeout: float = HANG) -> str:
    """The standard output of a program that has to succeed."""
    done = subprocess.run(
        [*map(str, words)],
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PATH": PATH, **(environment or {})},
    )
    assert done.returncode == 0, (
        f"{' '.join(map(str, words))}: {done.returncode}\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}"
    )
    return done.stdout


def skopeo(*words: str | Path) -> str:
    return call("skopeo", "--insecure-policy", *words)
