"""Project folders that build in a moment and without a network: a model alone, or one that is served, with wheels beside it."""

from __future__ import annotations

import textwrap
from pathlib import Path

from modelcrate_layers.layer_cache import settled
from modelcrate_layers.tar.sources import FileRange
from modelcrate_layers.tar.tree import file
from support.waiting import until
from support.wheels import make_wheel

SCRIPT = "def init():\n    pass\n\n\ndef run(data):\n    return data\n"


def write_project(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "modelcrate.yaml").write_text(textwrap.dedent(text))
    return folder


def model_only(folder: Path, data: bytes = b"weights" * 1000, base: str = "scratch", name: str = "alone") -> Path:
    """One model file over a base, nothing to start."""
    write_project(folder, f"name: {name}\nbase: {base}\nmodels:\n  - {{path: model.bin, name: {name}, version: 1}}\n")
    (folder / "model.bin").write_bytes(data)
    return folder


def sparse_model(folder: Path, size: int, name: str = "large", codec: str = "none") -> Path:
    """A model that takes long to read and no room on the disk. Where it is not compressed, reading it is all there is to do."""
    model_only(folder, b"", name=name)
    with open(folder / "modelcrate.yaml", "a") as file:
        file.write(f"codec: {codec}\n")
    with open(folder / "model.bin", "wb") as model:
        model.truncate(size)
    return folder


def served(
    folder: Path, base: str = "{from: scratch, interpreter: /usr/bin/python3.11}", requires: str = "tiny-lib"
) -> Path:
    """An entry script, a model, and a wheelhouse with all that is needed (a stand-in for gunicorn among it)."""
    write_project(
        folder,
        f"""\
        name: served
        python: "3.11"
        base: {base}
        dependencies: {{requirements: requirements.txt, wheelhouse: wheels}}
        models:
          - {{path: model.bin, name: served, version: 1}}
        entry: {{source: src, script: score.py}}
        """,
    )
    (folder / "requirements.txt").write_text(requires + "\n")
    (folder / "model.bin").write_bytes(b"weights" * 1000)
    (folder / "src").mkdir()
    (folder / "src" / "score.py").write_text(SCRIPT)
    make_wheel(folder / "wheels", "gunicorn", "23.0")
    make_wheel(folder / "wheels", "tiny-lib", "1.0")
    return folder


def wait_until_trusted(folder: Path) -> None:
    """Until the files are old enough for their stamps to be believed, and what is made of them to be remembered."""
    young = [file(b"x", FileRange.of_file(str(path))) for path in folder.rglob("*") if path.is_file()]
    until(lambda: settled(young), "an age at which stamps are trusted")
