"""Layers of packages that are all known, and were never in one image: whether two packages own a file is checked all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

import modelcrate
from modelcrate_layers.errors import UserError
from support import small_projects
from support.images import noise
from support.wheels import make_wheel


def build(folder: Path, *names: str) -> modelcrate.Image:
    project = small_projects.served(folder, requires="\n".join(names))
    for name in names:
        files = {f"{name}.bin": noise(5 << 20, 1 if name.endswith("one") else 2), "shared.py": name.encode()}
        if name == "apart":
            files = {"apart.bin": noise(5 << 20, 3)}
        make_wheel(project / "wheels", name, files=files)
    return modelcrate.build(project)


def test_known_layers_with_one_file_of_two_packages_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELCRATE_HOME", str(tmp_path / "home"))
    build(tmp_path / "a", "the-one", "apart")
    build(tmp_path / "b", "the-other", "apart")
    for number in range(2):
        with pytest.raises(UserError, match=r"both own .*shared\.py"):
            build(tmp_path / f"both {number}", "the-one", "the-other", "apart")
    assert build(tmp_path / "part", "the-one").digest
