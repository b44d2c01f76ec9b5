"""Project folders of ours, as a user would have them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from bench.harness import Place
from bench.lab import REPOSITORY, Lacking

DEMO = REPOSITORY / "fixtures" / "projects" / "diabetes"
QUIET = ("--json", "--progress", "none")


def models(folder: Path, names: Iterable[str], base: str = "scratch", codec: str = "auto") -> None:
    """A project of model folders that are there, or will be, over a base; nothing is served."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"  - {{path: {name}, name: {name}, version: 1}}\n" for name in names)
    (folder / "modelcrate.yaml").write_text(f"name: bench\nbase: {base}\ncodec: {codec}\nmodels:\n{lines}")


def demo(place: Place, folder: Path, **keys: str) -> Path:
    """A copy of the demo with its lock; keys (as YAML) replace those of its file. Needs a mirror the first time."""
    shutil.copytree(DEMO, folder)
    file = folder / "modelcrate.yaml"
    kept = [line for line in file.read_text().splitlines() if line.partition(":")[0] not in keys]
    file.write_text("\n".join([*kept, *(f"{key}: {value}" for key, value in keys.items())]) + "\n")
    try:
        place.lab.run(place.lab.ours("lock", folder, *QUIET), home=place.home)
    except RuntimeError as fault:
        raise Lacking(f"the demo can't be locked, its packages are not to be had: {str(fault)[:200]}") from None
    return folder


def edit(script: Path) -> None:
    """One line more."""
    with script.open("a") as file:
        file.write("\n# one line more\n")
