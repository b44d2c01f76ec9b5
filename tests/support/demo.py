"""The images that other people's tools judge: the demo, built once a run, and a small one that needs no network."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from modelcrate_layers.content import Literal
from modelcrate_layers.errors import RegistryError
from support.rootfs import tiny_rootfs
from support.shared_command import REPOSITORY, Modelcrate

PROJECT = REPOSITORY / "fixtures" / "projects" / "diabetes"
REQUEST = '{"data": [[1,2,3,4,5,6,7,8,9,10],[10,9,8,7,6,5,4,3,2,1]]}'
NAME = "diabetes:1"


def cache() -> Path:
    """Where downloads are kept from run to run."""
    if named := os.environ.get("MODELCRATE_TEST_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelcrate-tests"


def home(folder: Path) -> Path:
    """A MODELCRATE_HOME that knows nothing, but need not download again what this machine had once."""
    folder.mkdir(parents=True)
    (cache() / "downloads").mkdir(parents=True, exist_ok=True)
    (folder / "cache").symlink_to(cache() / "downloads")
    return folder


@dataclass(frozen=True)
class Built:
    """An image in every form that an engine may want. `receipt` is what the build said."""

    project: Path
    folder: Path
    modelcrate: Modelcrate
    receipt: Mapping[str, Any] = field(repr=False)

    @property
    def digest(self) -> str:
        return str(self.receipt["digest"])

    @property
    def id(self) -> str:
        return str(self.receipt["id"])

    @property
    def layout(self) -> Path:
        return self.folder / "oci"

    @property
    def oci_archive(self) -> Path:
        return self.folder / "oci.tar"

    @property
    def docker_archive(self) -> Path:
        return self.folder / "docker.tar"

    def blob(self, digest: str) -> Path:
        return self.layout / "blobs" / digest.replace(":", "/")

    def document(self, digest: str) -> Any:
        return json.loads(self.blob(digest).read_bytes())


def build(project: Path, folder: Path, modelcrate: Modelcrate, name: str) -> Built:
    """The project's image as a layout and as both archives."""
    places = [f"oci:{folder}/oci:1", f"oci-archive:{folder}/oci.tar", f"docker-archive:{folder}/docker.tar:{name}"]
    return build_places(project, folder, modelcrate, places)


def build_places(project: Path, folder: Path, modelcrate: Modelcrate, places: Sequence[str]) -> Built:
    """The project's image at these outputs. A mirror that can't be reached skips the test."""
    options = [word for place in places for word in ("-o", place)]
    done = modelcrate.run("build", project, *options, "--json", "--progress", "none")
    if done.returncode == RegistryError.exit_code:
        pytest.skip(f"no package mirror answers: {done.stderr.strip()[:300]}")
    assert done.returncode == 0, done.stderr
    return Built(project, folder, modelcrate, json.loads(done.stdout))


def copy_of_demo(folder: Path, **keys: str) -> Path:
    """The demo's project in a folder of its own, with more keys (as YAML) in its file."""
    shutil.copytree(PROJECT, folder)
    with (folder / "modelcrate.yaml").open("a") as file:
        file.writelines(f"{key}: {value}\n" for key, value in keys.items())
    return folder


def shell_rootfs() -> Literal:
    found = tiny_rootfs()
    if found is None:
        pytest.skip("this machine lacks a program of the test's root file system (sh, coreutils, perl, ldd)")
    return found


def small_project(folder: Path, base: str = "rootfs:base.tar", **keys: str) -> Path:
    """Models of several kinds over a shell: no wheels, no network."""
    folder.mkdir(parents=True)
    if base == "rootfs:base.tar":
        (folder / "base.tar").write_bytes(shell_rootfs().data)
    models = folder / "model"
    (models / "deep" / ("d" * 120)).mkdir(parents=True)
    (models / "weights.bin").write_bytes(bytes(range(256)) * 4096)
    (models / "deep" / ("d" * 120) / "long.txt").write_text("long\n")
    (models / "ünï.txt").write_text("name\n")
    (models / "empty").mkdir()
    (models / "link").symlink_to("weights.bin")
    more = "".join(f"{key}: {value}\n" for key, value in keys.items())
    (folder / "modelcrate.yaml").write_text(
        f"name: small\nbase: {base}\nmodels:\n  - {{path: model, name: letters, version: 3}}\nlabels: {{team: research}}\n{more}"
    )
    return folder
