"""The project's own package as a wheel: the same files give the same wheel, and it is locked with what it needs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modelcrate.net.config import HttpConfig
from modelcrate.resolve.index import Index
from modelcrate.resolve.project_wheel import build_project_wheel
from modelcrate.resolve.uv import Uv
from modelcrate_layers.errors import UserError

BACKEND = """\
import hashlib, base64, zipfile, os

def build_wheel(folder, settings=None, metadata=None):
    name = "own-0.3-{tag}.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as out:
        for path in ("own/__init__.py",):
            info = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))
            out.writestr(info, open(path).read() + os.environ["SOURCE_DATE_EPOCH"])
        out.writestr(zipfile.ZipInfo("own-0.3.dist-info/METADATA"), "Metadata-Version: 2.1\\nName: own\\nVersion: 0.3\\n")
        out.writestr(zipfile.ZipInfo("own-0.3.dist-info/WHEEL"), "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: {tag}\\n")
        out.writestr(zipfile.ZipInfo("own-0.3.dist-info/RECORD"), "")
    return name
"""


def project(folder: Path, tag: str = "py3-none-any") -> Path:
    (folder / "own").mkdir(parents=True)
    (folder / "own/__init__.py").write_text("x = 1\n")
    (folder / "backend.py").write_text(BACKEND.replace("{tag}", tag))
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n[project]\nname = "own"\nversion = "0.3"\n'
    )
    return folder


@pytest.fixture
def uv(tmp_path: Path) -> Uv:
    return Uv(tmp_path / "uv-cache", HttpConfig({"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, offline=True))


def test_the_wheel_is_built_once_for_a_state_of_the_files(tmp_path: Path, uv: Uv) -> None:
    first = build_project_wheel(project(tmp_path / "a"), tmp_path / "cache", uv, Index())
    assert (first.name, first.version, first.filename) == ("own", "0.3", "own-0.3-py3-none-any.whl")
    assert first.urls[0].startswith("file:///")
    nothing = Uv(uv.cache, uv.network, "/nowhere/uv")
    assert build_project_wheel(tmp_path / "a", tmp_path / "cache", nothing, Index()) == first
    assert build_project_wheel(project(tmp_path / "b"), tmp_path / "other", uv, Index()) == first
    (tmp_path / "a/own/__init__.py").write_text("x = 2\n")
    assert build_project_wheel(tmp_path / "a", tmp_path / "cache", uv, Index()).sha256 != first.sha256


def test_a_wheel_for_this_machine_alone_is_refused(tmp_path: Path, uv: Uv) -> None:
    with pytest.raises(UserError, match="for one platform only"):
        build_project_wheel(project(tmp_path / "a", "cp311-cp311-linux_x86_64"), tmp_path / "cache", uv, Index())


def test_what_can_not_be_built_says_why(tmp_path: Path, uv: Uv) -> None:
    folder = project(tmp_path / "a")
    (folder / "backend.py").write_text("def build_wheel(*words): raise SystemExit('no compiler here')\n")
    with pytest.raises(UserError, match="can't be built") as caught:
        build_project_wheel(folder, tmp_path / "cache", uv, Index())
    assert "no compiler here" in caught.value.why
    (folder / "pyproject.toml").write_text("[tool.x]\n")
    with pytest.raises(UserError, match="no package to build"):
        build_project_wheel(folder, tmp_path / "cache", uv, Index())
