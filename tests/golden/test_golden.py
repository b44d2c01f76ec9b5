"""Digests are a promise (ARCHITECTURE.md): the committed ones hold here, on another processor, and on another Python.

They move only with `pytest tests/golden --update-golden`. A diff id that moves is a new POLICY; a blob's digest alone moves with the version of its
codec, which stands beside it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from modelcrate.config import Config
from modelcrate.transports.connections import Connections
from modelcrate.transports.oci import LayoutOutput
from support import golden
from support.sources import REPOSITORY
from support.validator import assert_valid_layout

FOLDER = REPOSITORY / "fixtures" / "golden"
NAMES = [*golden.trees(), "image", "variants"]


def computed(name: str) -> dict[str, Any]:
    if name == "variants":
        return golden.index_facts(golden.variants())
    return golden.image_facts(golden.made()) if name == "image" else golden.layer_facts(golden.trees()[name])


def committed(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def comparable(name: str, facts: dict[str, Any], current: dict[str, Any]) -> dict[str, Any]:
    """Without the blobs of codecs in other versions than ours, of which nothing is promised."""
    if name in ("image", "variants"):
        return facts
    return {**facts, "blobs": {key: value for key, value in facts["blobs"].items() if key in current["blobs"]}}


@pytest.mark.parametrize("name", NAMES)
def test_digests_are_the_committed_ones(name: str, request: pytest.FixtureRequest) -> None:
    found = computed(name)
    if request.config.getoption("--update-golden"):
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{name}.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    wanted = committed(name)
    assert_same_codecs(name, wanted, found)
    assert comparable(name, found, wanted) == comparable(name, wanted, found)


def assert_same_codecs(name: str, wanted: dict[str, Any], found: dict[str, Any]) -> None:
    if name == "image":
        versions = [each["annotations"]["io.modelcrate.layer.codec"] for each in wanted["manifest"]["layers"]]
        now = [each["annotations"]["io.modelcrate.layer.codec"] for each in found["manifest"]["layers"]]
        if versions != now:
            pytest.skip(f"the golden image was made with {', '.join(versions)}; here is {', '.join(now)}")
    elif name != "variants":
        assert "none" in wanted["blobs"]


def test_there_is_no_golden_file_of_something_that_is_gone() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(NAMES)


def test_the_image_id_does_not_depend_on_the_codecs() -> None:
    assert str(golden.made().id) == committed("image")["id"]


def test_the_golden_image_is_valid(tmp_path: Path) -> None:
    LayoutOutput(tmp_path / "layout", "golden").deliver(
        golden.made(), Connections(Config(tmp_path)), lambda event: None
    )
    assert assert_valid_layout(tmp_path / "layout").layers == len(committed("image")["manifest"]["layers"])


def told_by(*argv: str, **environment: str) -> dict[str, Any]:
    """The facts as a process of its own tells them."""
    path = os.pathsep.join(str(REPOSITORY / part) for part in ("builder", "layers", "tests"))
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **environment}
    done = subprocess.run([*argv, "-m", "support.golden"], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def here() -> dict[str, Any]:
    return {name: computed(name) for name in NAMES}


def test_digests_do_not_depend_on_the_process() -> None:
    for environment in (
        {"PYTHONHASHSEED": "1", "TZ": "Asia/Kathmandu", "LC_ALL": "C"},
        {"PYTHONHASHSEED": "2", "TZ": "America/St_Johns", "LC_ALL": "tr_TR.UTF-8", "SOURCE_DATE_EPOCH": "1"},
    ):
        assert told_by(sys.executable, **environment) == here()


@pytest.mark.interop
@pytest.mark.slow
@pytest.mark.parametrize("processor", ["Nehalem", "Haswell-v4"])
def test_digests_are_the_same_on_another_processor(processor: str) -> None:
    """Nehalem has no AVX, Haswell has AVX2: other code paths of ISA-L and of zstd, the same bytes."""
    emulator = shutil.which("qemu-x86_64-static")
    if emulator is None:
        pytest.skip("qemu-x86_64-static is not installed (Debian package qemu-user-static)")
    if os.uname().machine != "x86_64":
        pytest.skip("the interpreter here is not one for x86-64")
    real = os.path.realpath(sys.executable)  # the emulator follows no `#!` and no pyvenv.cfg
    site = os.pathsep.join(each for each in sys.path if each.endswith("site-packages"))
    path = os.pathsep.join([*(str(REPOSITORY / part) for part in ("builder", "layers", "tests")), site])
    assert told_by(emulator, "-cpu", processor, real, PYTHONPATH=path) == here()


def test_the_golden_index_of_variants_is_valid(tmp_path: Path) -> None:
    LayoutOutput(tmp_path / "layout", "golden").deliver(
        golden.variants(), Connections(Config(tmp_path)), lambda event: None
    )
    assert assert_valid_layout(tmp_path / "layout").images == 3 + 1, "the variant has an entry of its own"
