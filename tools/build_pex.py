"""Builds modelcrate and all that it needs as one file, which runs without a network and without an installation: a PEX.

    python tools/build_pex.py OUT [OPTION OF pex ...]

The file runs on the Python and the kind of machine that built it; options such as `--python python3.12` add others.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import uv

ROOT = Path(__file__).resolve().parents[1]
PEX = "pex==2.105.2"
EPOCH = "315532800"
"""1980-01-01: neither the wheel's bytes nor the file's depend on the time at which they are built."""


def build(out: Path, options: list[str]) -> int:
    """Builds the file.

    Args:
        out: Where it goes. It is there whole or not at all.
        options: More options of pex.

    Returns:
        The exit code.
    """
    program = os.fspath(uv.find_uv_bin())
    environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent) as name:
        folder = Path(name)
        subprocess.run(
            [program, "build", "--quiet", "--wheel", "--out-dir", name, str(ROOT)], check=True, env=environment
        )
        (wheel,) = folder.glob("*.whl")
        python = folder / "pex" / "bin" / "python"
        for words in (
            ("venv", "--quiet", "--python", sys.executable, folder / "pex"),
            ("pip", "install", "--quiet", "--python", python, PEX),
        ):
            subprocess.run([program, *map(str, words)], check=True)
        made = folder / "modelcrate.pex"
        # a virtual environment at the first start: uv is a program of one, and starts are as fast as installed ones
        words = [
            python,
            "-m",
            "pex",
            wheel,
            "--console-script",
            "modelcrate",
            "--venv",
            "prepend",
            "--output-file",
            made,
            *options,
        ]
        done = subprocess.run([*map(str, words)], env={**environment, "PEX_ROOT": str(folder / "root")})
        if done.returncode:
            return done.returncode
        where = {
            "PATH": f"{Path(sys.executable).resolve().parent}{os.pathsep}{os.defpath}",
            "PEX_ROOT": str(folder / "first"),
            "HOME": name,
        }
        subprocess.run([made, "--version"], check=True, env=where)  # a file that does not start is none
        made.replace(out)
        return 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    raise SystemExit(build(Path(sys.argv[1]), sys.argv[2:]))
