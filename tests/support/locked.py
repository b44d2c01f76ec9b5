"""A locked project with packages of every kind, pinned by hand, so that neither keys nor solvers are needed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from modelcrate.config import Config
from modelcrate.pipeline.session import Session
from modelcrate.resolve.debian.pinned import PinnedDeb
from modelcrate.resolve.lock import FILE_NAME, Lock, Pins, write_lock
from modelcrate.resolve.lock_inputs import lock_inputs
from modelcrate.resolve.pinned import PinnedConda, PinnedWheel
from modelcrate.resolve.world import server_requirements
from support.conda import greeting, native, write_channel
from support.debian_mirror import ROOTS, Mirror
from support.small_projects import SCRIPT, wait_until_trusted
from support.wheels import make_wheel

PROJECT = """\
name: tampered
python: "3.11"
base: {{from: debian, mirror: "{mirror}/debian"}}
dependencies: {{requirements: [tiny-lib], wheelhouse: wheels, conda: {{packages: [greeting, native], channels: [./channel]}}}}
models:
  - {{path: model.bin, name: tampered, version: 1}}
entry: {{source: src, script: score.py}}
"""


def locked_project(folder: Path, mirror: Mirror) -> Path:
    """A Debian base, wheels and conda packages, all pinned by hand, so that neither keys nor solvers are needed."""
    project = folder / "project"
    (project / "src").mkdir(parents=True)
    (project / "src" / "score.py").write_text(SCRIPT)
    (project / "model.bin").write_bytes(b"weights" * 1000)
    (project / "modelcrate.yaml").write_text(PROJECT.format(mirror=mirror.address))
    wheels = [make_wheel(project / "wheels", name, "1.0") for name in ("gunicorn", "packaging", "tiny-lib")]
    recipes = [greeting(), native(ending=".tar.bz2")]
    write_channel(project / "channel", recipes)
    debs = []
    for name, members in ROOTS.items():
        path = mirror.add(name, members)
        data = mirror.files[path]
        pool = path.removeprefix("/debian/")
        debs.append(PinnedDeb(name, "1.0", "all", "debian", pool, hashlib.sha256(data).hexdigest(), len(data)))
    conda = []
    for each in recipes:
        data = (project / "channel" / each.folder / each.filename).read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        conda.append(PinnedConda(each.name, each.version, each.build, each.folder, each.filename, digest, len(data)))
    pinned = [PinnedWheel(each.name, each.version, each.filename, each.sha256, each.size) for each in wheels]
    with Session(Config(folder / "unused")) as session:
        read = session.read(project).project
    asked = lock_inputs(read, project, server_requirements(read))
    pins = Pins(None, tuple(debs), tuple(pinned), tuple(conda))
    write_lock(project / FILE_NAME, Lock(asked, {"linux/amd64": pins}))
    wait_until_trusted(project)
    return project
