"""Programs of npm's index, kept in the test cache."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from support.tools import cache, need
from support.waiting import HANG


def folder_of(*packages: str) -> Path:
    """A folder with these packages in `node_modules`; skips the test where they can't be had."""
    need("node", "npm")
    folder = cache() / "npm" / re.sub(r"[^\w.-]", "-", "-".join(packages))
    if not (folder / "ready").exists():
        words = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(folder), *packages]
        done = subprocess.run(words, capture_output=True, text=True, timeout=HANG)
        if done.returncode:
            pytest.skip(f"npm can't install {', '.join(packages)}: {done.stderr[-300:]}")
        (folder / "ready").touch()
    return folder


def npm(package: str, program: str) -> Path:
    """A program of a package."""
    return folder_of(package) / "node_modules" / ".bin" / program
