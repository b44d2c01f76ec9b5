"""Small real images, cosign, and other people's libraries, for the tests of trust."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from modelcrate.images.image import Image, ImageLayer, Index, assemble, combine
from modelcrate.images.image_config import RunSpec
from modelcrate_layers.content import Platform
from modelcrate_layers.tar import codec
from modelcrate_layers.tar.recipe import Recipe, RecipeBlob, measure
from modelcrate_layers.tar.sources import Bytes
from modelcrate_layers.tar.tree import Tree, file
from support.tools import PATH, cache
from support.waiting import HANG

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")


def small_image(files: Mapping[str, bytes] | None = None, platform: Platform = AMD64) -> Image:
    """An image of one layer with these files."""
    entries = [file(name.encode(), Bytes(data), 0o644) for name, data in (files or {"a": b"1"}).items()]
    recipe = Recipe(Tree.of(entries, roots=()), codec.zstd())
    layer = measure(recipe)
    return assemble(platform, {}, [ImageLayer("model", "m", layer, RecipeBlob(recipe, layer))], RunSpec())


def small_index() -> Index:
    return combine([small_image(), small_image(platform=ARM64)])


def judge(module: str) -> str:
    """A Python that has somebody's library: this one, or that of the environment `venv` in the cache; empty where none has it."""
    if importlib.util.find_spec(module) is not None:
        return sys.executable
    other = cache() / "venv" / "bin" / "python"
    if other.exists() and subprocess.run([other, "-c", f"import {module}"], capture_output=True).returncode == 0:
        return str(other)
    return ""


def judged(module: str, script: str, *words: str) -> str:
    """What a script says that uses somebody's library; the test is skipped where nobody has it."""
    python = judge(module)
    if not python:
        pytest.skip(f"{module} is not installed, here or in {cache() / 'venv'}")
    done = subprocess.run([python, "-c", script, *words], capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def cosign(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "COSIGN_PASSWORD": "secret", "COSIGN_YES": "true"}
    program = shutil.which("cosign", path=PATH)
    assert program is not None
    return subprocess.run([program, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=HANG)
