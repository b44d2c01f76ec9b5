"""podman 5 takes from a zstd:chunked layer what it lacks (containers/storage, partial images), and puts its tar together again by tar-split."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from hashlib import file_digest
from pathlib import Path

import pytest

from modelcrate.config import Config
from modelcrate.transports.addresses import find
from modelcrate.transports.connections import Connections
from support.engines import short_folder, storage_driver
from support.images import noise
from support.real_registry import Running
from support.shared_command import Modelcrate
from support.small_projects import served
from support.tools import PATH, call, need
from support.validator import assert_valid_found
from support.waiting import HANG

pytestmark = pytest.mark.interop

FIRST = (5, 0)
"""The first podman that asks for tar-split, and so takes parts of an image whose diff ids hold. Debian 12 has 4.3, which reads other annotations."""

MISSING = re.compile(r"Missing (\d+) bytes out of (\d+)")

Podman = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def podman() -> Iterator[Podman]:
    need("podman", root=True)
    told = call("podman", "--version").split()[-1]
    if tuple(map(int, re.findall(r"\d+", told)[:2])) < FIRST:
        pytest.skip(f"podman {told} is older than {FIRST[0]}: it takes whole layers")
    with short_folder() as folder:
        if storage_driver(folder) != "overlay":
            pytest.skip("podman takes parts of images into an overlay storage only, and this folder is on an overlay")
        (folder / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\nrunroot = "{folder}/run"\ngraphroot = "{folder}/root"\n'
            '[storage.options]\npull_options = {enable_partial_images = "true", use_hard_links = "false", ostree_repos = ""}\n'
        )
        (folder / "policy.json").write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
        environment = {**os.environ, "PATH": PATH, "CONTAINERS_STORAGE_CONF": f"{folder}/storage.conf"}

        def run(*words: str) -> subprocess.CompletedProcess[str]:
            policy = ("--signature-policy", f"{folder}/policy.json", "--tls-verify=false") if "pull" in words else ()
            done = subprocess.run(
                ["podman", *words, *policy], env=environment, capture_output=True, text=True, timeout=HANG
            )
            assert done.returncode == 0, done.stderr[-3000:]
            return done

        try:
            yield run
        finally:
            run("rmi", "--all", "--force")


def saved(podman: Podman, name: str) -> list[str]:
    """The digests of the tars that podman makes of an image that it has."""
    with short_folder() as folder:
        podman("save", "--format", "docker-archive", "-o", f"{folder}/image.tar", name)
        with tarfile.open(folder / "image.tar") as archive:
            (listed,) = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
            tars = [archive.extractfile(each) for each in listed["Layers"]]
            return [f"sha256:{file_digest(tar, 'sha256').hexdigest()}" for tar in tars if tar is not None]


def test_podman_takes_what_it_lacks(
    modelcrate: Modelcrate, docker_registry: Running, podman: Podman, tmp_path: Path
) -> None:
    project = served(tmp_path / "project")
    with open(project / "modelcrate.yaml", "a") as text:
        text.write("codec: zstd:chunked\n")
    (project / "src" / "table.bin").write_bytes(noise(3 << 20))
    lacking = []
    for tag in ("1", "2"):
        (project / "src" / "new.py").write_bytes(tag.encode() * 1000)
        name = f"{docker_registry.host}/chunked/served:{tag}"
        modelcrate.said("build", project, "--push", name)
        found = find(name, Connections(Config(tmp_path / "home", {"HOME": str(tmp_path)})))
        assert_valid_found(found)
        log = podman("--log-level", "debug", "pull", name).stderr
        lacking.append(sum(int(missing) for missing, _ in MISSING.findall(log)))
        layers = found.image().layers
        partial = [each for each in layers if f"Retrieved partial blob {each.descriptor.digest}" in log]
        assert len(partial) == (len(layers) if tag == "1" else 1), "the entry is new"
        assert saved(podman, name) == [str(each.layer.diff_id) for each in layers]
    assert lacking[0] > 3 << 20
    assert lacking[1] == 1000, "of the layer that is new, one file is"
