"""Builds the image of modelcrate itself, with modelcrate: the wheel of this checkout, and what it needs from the package index.

    python tools/build_image.py [-t NAME[:TAG] | --push REF | -o KIND:TARGET ...]

The project is in tools/image; it is completed with the wheel in build/image.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import uv

ROOT = Path(__file__).resolve().parents[1]
PROJECT = ROOT / "build" / "image"


def main() -> int:
    """Returns the exit code of the build."""
    shutil.rmtree(PROJECT, ignore_errors=True)
    shutil.copytree(ROOT / "tools" / "image", PROJECT)
    words = ["build", "--quiet", "--wheel", "--out-dir", str(PROJECT / "wheels"), str(ROOT)]
    epoch = {"SOURCE_DATE_EPOCH": "315532800"}  # a wheel's bytes do not depend on the time that it is built
    subprocess.run([os.fspath(uv.find_uv_bin()), *words], check=True, env={**os.environ, **epoch})
    return subprocess.run([sys.executable, "-m", "modelcrate", "build", str(PROJECT), *sys.argv[1:]]).returncode


if __name__ == "__main__":
    raise SystemExit(main())
