"""modelcrate as an image that modelcrate has made: in a container without rights it builds the demo, to the same digest."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.shared_command import Modelcrate
from support.sources import REPOSITORY
from support.validator import assert_valid_layout
from support.waiting import HANG

pytestmark = [pytest.mark.network, pytest.mark.slow]


def test_it_builds_the_demo_in_a_container_to_the_same_digest(modelcrate: Modelcrate, tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, REPOSITORY / "tools/build_image.py", "-t", "own:1"],
        env=modelcrate.environment, capture_output=True, text=True, timeout=HANG,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    assert modelcrate.said("run", "--rm", "--name", "own", "own:1", "modelcrate", "--version").startswith("modelcrate ")

    project = tmp_path / "project"
    shutil.copytree(REPOSITORY / "fixtures/projects/diabetes", project)
    modelcrate.said("lock", project)
    outside = modelcrate.json("build", project, "--locked", "-o", f"oci:{tmp_path / 'outside'}")
    shutil.copytree(modelcrate.home / "cache", tmp_path / "home/cache")
    out = tmp_path / "out"
    out.mkdir()
    for path in (out, *tmp_path.joinpath("home").rglob("*"), tmp_path / "home"):
        path.chmod(0o777)
    said = modelcrate.said(
        "run", "--rm", "--name", "own", "--read-only", "-v", f"{project}:/project:ro", "-v", f"{tmp_path / 'home'}:/home",
        "-v", f"{out}:/out", "-e", "MODELCRATE_HOME=/home", "own:1",
        "modelcrate", "build", "/project", "--locked", "--offline", "--json", "-o", "oci:/out/layout",
    )  # fmt: skip
    inside = json.loads(said[said.index("{") :])
    assert inside["digest"] == outside["digest"]
    assert_valid_layout(out / "layout")
