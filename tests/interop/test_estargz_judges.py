"""podman pulls an eStargz layer file by file (containers/storage, partial images): it checks the table, every file, and asks for ranges."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from modelcrate.config import Config
from modelcrate.images.unpack import unpack
from modelcrate.transports.addresses import find
from modelcrate.transports.connections import Connections
from support.engines import short_folder, storage_driver
from support.real_registry import Running
from support.shaped import contents
from support.shared_command import Modelcrate
from support.small_projects import served
from support.tools import PATH, need
from support.validator import assert_valid_found
from support.waiting import HANG

pytestmark = pytest.mark.interop


def test_podman_takes_our_layers_file_by_file(modelcrate: Modelcrate, docker_registry: Running, tmp_path: Path) -> None:
    need("podman", root=True)
    project = served(tmp_path / "project")
    with open(project / "modelcrate.yaml", "a") as text:
        text.write("codec: estargz\n")
    name = f"{docker_registry.host}/lazy/served:1"
    modelcrate.said("build", project, "--push", name)
    found = find(name, Connections(Config(tmp_path / "home", {"HOME": str(tmp_path)})))
    assert_valid_found(found)
    lazy = [each for each in found.image().layers if "estargz" in str(each.layer.codec)]
    assert lazy
    (tmp_path / "ours").mkdir()
    unpack([each.blob for each in lazy], tmp_path / "ours")
    with short_folder() as folder:
        if storage_driver(folder) != "overlay":
            pytest.skip("podman takes parts of images into an overlay storage only, and this folder is on an overlay")
        (folder / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\nrunroot = "{folder}/run"\ngraphroot = "{folder}/root"\n'
            '[storage.options]\npull_options = {enable_partial_images = "true", use_hard_links = "false", ostree_repos = ""}\n'
        )
        environment = {**os.environ, "PATH": PATH, "CONTAINERS_STORAGE_CONF": f"{folder}/storage.conf"}

        def podman(*words: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                ["podman", *words], env=environment, capture_output=True, text=True, timeout=HANG, check=True
            )

        log = podman("--log-level", "debug", "pull", "--tls-verify=false", name).stderr
        for each in lazy:
            assert f"Retrieved partial blob {each.descriptor.digest}" in log
        root = Path(podman("image", "mount", name).stdout.strip())
        try:
            assert contents(root / "opt/modelcrate/venv") == contents(tmp_path / "ours/opt/modelcrate/venv")
        finally:
            podman("image", "unmount", name)
            podman("rmi", "--force", name)
