"""A whole project that is built without any network: a tiny root file system, a wheelhouse of tiny wheels, two models, an entry script."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from support.rootfs import layer, member
from support.sources import REPOSITORY
from support.wheels import make_wheel

PROJECT = """\
name: offline
python: "3.11"
base: {base}
dependencies: {{requirements: requirements.txt, wheelhouse: wheels/}}
models:
  - {{path: models/one.bin, name: one, version: 1}}
  - {{path: models/two, name: two, version: 3}}
entry: {{source: src/, script: score.py}}
env: {{LOG_LEVEL: info, GREETING: "grüß dich"}}
labels: {{team: research}}
"""

FILES = {
    "requirements.txt": b"tiny-answer==1.0\n",
    "src/score.py": b"import tiny_answer\n\n\ndef init():\n    pass\n\n\ndef run(data):\n    return data\n",
    "src/more/part.py": b"part = 1\n",
    "src/more/zähler.txt": b"1\n",
    "src/Makefile": b"all:\n",
    "src/a-tool.sh": b"#!/bin/sh\n",
    "models/one.bin": bytes(range(256)) * 40,
    "models/two/config.json": b"{}",
    "models/two/weights/part-1.bin": b"1" * 5000,
    "models/two/weights/part-2.bin": b"2" * 5000,
}


def write_project(folder: Path, base: str = "rootfs:base.tar") -> Path:
    """The project in a folder of its own; the same bytes at every call."""
    folder.mkdir(parents=True)
    (folder / "modelcrate.yaml").write_text(PROJECT.format(base=base), encoding="utf-8")
    for name, data in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (folder / "src" / "a-tool.sh").chmod(0o755)
    (folder / "src" / "link").symlink_to("more/part.py")
    (folder / "base.tar").write_bytes(rootfs())
    make_wheel(folder / "wheels", "tiny-answer", "1.0", requires=["tiny-leaf>=1"])
    make_wheel(folder / "wheels", "tiny-leaf", "1.2", {"tiny_leaf/__init__.py": b"leaf = 1\n"})
    make_wheel(
        folder / "wheels",
        "gunicorn",
        "23.0.0",
        {"gunicorn/__init__.py": b"", "gunicorn/app.py": b"def run():\n    pass\n"},
        entry_points="[console_scripts]\ngunicorn = gunicorn.app:run\n",
    )
    return folder


def rootfs() -> bytes:
    """A root file system whose Python is no Python: nothing of it is started."""
    program = member("usr/bin/python3.11", b"\x7fELF", mode=0o755)
    folders = [member(name, kind=b"5") for name in ("etc", "usr", "usr/bin", "usr/lib")]
    return layer(*folders, program, member("lib", kind=b"2", linkname="usr/lib")).data


def copy_in_another_order(source: Path, target: Path) -> Path:
    """The same files, made in the opposite order and with other times, so that a folder lists them otherwise."""
    target.mkdir()
    target.chmod(0o700)
    for path in sorted(source.iterdir(), reverse=True):
        into = target / path.name
        if path.is_symlink():
            into.symlink_to(os.readlink(path))
        elif path.is_dir():
            copy_in_another_order(path, into)
        else:
            shutil.copyfile(path, into)
            into.chmod(0o700 if path.stat().st_mode & 0o100 else 0o600)
            os.utime(into, (1_234_567_890, 1_000_000_000 + len(path.name)))
    return target


def environment(home: Path, **more: str) -> dict[str, str]:
    """What a child needs to run our command from the source tree, and nothing of the caller's."""
    path = [str(REPOSITORY / "builder"), str(REPOSITORY / "layers")]
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "MODELCRATE_HOME": str(home),
        **more,
    }
