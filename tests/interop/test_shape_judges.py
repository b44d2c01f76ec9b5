"""Other people's readers take our modelcars and ModelPack artifacts: KServe's storage initializer, olot, ORAS, skopeo,
podman and containerd."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from support.azure import environment
from support.engines import containerd, podman
from support.real_registry import Running
from support.shaped import contents, shaped_project
from support.shared_command import Modelcrate
from support.small_projects import served
from support.tools import call, need, skopeo
from support.validator import assert_valid_layout
from support.waiting import HANG

pytestmark = pytest.mark.interop

FETCH = """
import os, sys
os.environ["KSERVE_OCI_INSECURE_REGISTRY"] = "true"
from kserve_storage import Storage
Storage.download(f"oci://{sys.argv[1]}", sys.argv[2])
"""
"""What the storage initializer does for a service with `storageUri: oci+fetch://...`: KServe's webhook takes the `+fetch` off."""

OLOT = """
import sys
from pathlib import Path
from olot.modelpack.model_config import Model
from olot.oci.oci_config import OCIManifestConfig
from olot.oci.oci_image_manifest import OCIImageManifest
from olot.oci.oci_image_layout import verify_ocilayout
from olot.basics import check_manifest, crawl_ocilayout_manifests, crawl_ocilayout_indexes, read_ocilayout_root_index

layout = Path(sys.argv[1])
verify_ocilayout(layout)
root = read_ocilayout_root_index(layout)
found = crawl_ocilayout_manifests(layout, crawl_ocilayout_indexes(layout, root), root)
for manifest in found.values():
    config = (layout / "blobs" / manifest.config.digest.replace(":", "/")).read_text()
    if manifest.artifactType:
        Model.model_validate_json(config)
    else:
        check_manifest(manifest, OCIManifestConfig.model_validate_json(config))
print(len(found), sum(len(each.layers) for each in found.values()))
"""


@pytest.fixture(scope="module")
def judge() -> str:
    return environment("shapes", "kserve-storage==0.21.0", "olot==1.2.1", compiled=False)


def judged(python: str, script: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, "-c", script, *map(str, words)], capture_output=True, text=True, timeout=HANG)


@pytest.mark.network
@pytest.mark.slow
def test_kserve_fetches_a_modelcar_and_an_image_that_is_one_and_no_other(
    judge: str, modelcrate: Modelcrate, docker_registry: Running, tmp_path: Path
) -> None:
    car = f"{docker_registry.host}/shapes/car"
    plain = shaped_project(tmp_path / "plain")
    both = shaped_project(tmp_path / "both", "modelcar: true\nplatforms: [linux/amd64, linux/arm64]\n")
    modelcrate.said("build", plain, "-o", f"registry:{car}:image", "-o", f"modelcar:{car}:car")
    modelcrate.said("build", both, "-o", f"registry:{car}:both", "-o", f"modelcar:{car}:shared")
    for tag in ("car", "both", "shared"):
        done = judged(judge, FETCH, f"{car}:{tag}", tmp_path / "out" / tag)
        assert done.returncode == 0, done.stderr[-2000:]
        assert contents(tmp_path / "out" / tag) == contents(plain / "model")
    whole = served(tmp_path / "served")
    with open(whole / "modelcrate.yaml", "a") as text:
        text.write("modelcar: true\ncodec: {default: gzip, models: none}\n")
    modelcrate.said("build", whole, "-o", f"registry:{car}:served")
    done = judged(judge, FETCH, f"{car}:served", tmp_path / "out" / "served")
    assert done.returncode == 0, done.stderr[-2000:]
    assert contents(tmp_path / "out" / "served") == {"model.bin": (whole / "model.bin").read_bytes()}
    assert "has no /models/ directory" in judged(judge, FETCH, f"{car}:image", tmp_path / "image").stderr


@pytest.mark.network
def test_olot_reads_every_shape(judge: str, modelcrate: Modelcrate, tmp_path: Path) -> None:
    project = shaped_project(tmp_path / "project", "modelcar: true\n")
    places = [f"{kind}:oci:{tmp_path}/all:{kind}" for kind in ("modelcar", "modelpack", "modelpack-tar")]
    modelcrate.said("build", project, *[word for place in places for word in ("-o", place)])
    done = judged(judge, OLOT, tmp_path / "all")
    assert done.stdout.split() == ["3", "11"], done.stderr[-2000:]
    assert_valid_layout(tmp_path / "all")


def test_oras_writes_the_files_of_an_artifact(modelcrate: Modelcrate, docker_registry: Running, tmp_path: Path) -> None:
    from oras.client import OrasClient

    project = shaped_project(tmp_path / "project")
    name = f"{docker_registry.host}/shapes/pack:1"
    modelcrate.said("build", project, "-o", f"modelpack:{name}")
    OrasClient(insecure=True).pull(target=name, outdir=str(tmp_path / "out"))
    assert contents(tmp_path / "out") == contents(project / "model")


def test_skopeo_copies_every_shape_byte_for_byte(
    modelcrate: Modelcrate, docker_registry: Running, tmp_path: Path
) -> None:
    need("skopeo")
    project = shaped_project(tmp_path / "project")
    for kind in ("modelcar", "modelpack", "modelpack-tar"):
        name = f"{docker_registry.host}/shapes/{kind}:1"
        receipt = modelcrate.json("build", project, "-o", f"{kind}:{name}")
        place = f"oci:{tmp_path}/copy:{kind}"
        skopeo("copy", "--preserve-digests", "--src-tls-verify=false", f"docker://{name}", place)
        index = json.loads((tmp_path / "copy" / "index.json").read_text())
        assert index["manifests"][-1]["digest"] == receipt["outputs"][0]["digest"]


def test_podman_mounts_a_modelcar_as_kubernetes_mounts_a_volume(modelcrate: Modelcrate, tmp_path: Path) -> None:
    """An image volume is the image's tree; KServe's `oci+native` mounts its folder `models` alone, so no link may lead out of that."""
    project = shaped_project(tmp_path / "project")
    modelcrate.said("build", project, "-o", f"modelcar:oci-archive:{tmp_path}/car.tar")
    with podman() as engine:
        name = engine("load", "-q", "-i", tmp_path / "car.tar").split()[-1]
        root = Path(engine("image", "mount", name).strip())
        try:
            call("cp", "-r", root / "models", tmp_path / "volume")  # out of the tree: a link to outside would dangle
            assert contents(tmp_path / "volume") == contents(project / "model")
        finally:
            engine("image", "unmount", name)


def test_containerd_mounts_a_modelcar_for_either_platform(modelcrate: Modelcrate, tmp_path: Path) -> None:
    """A container runtime asks an index for its own platform, even where nothing is run."""
    project = shaped_project(tmp_path / "project", "platforms: [linux/amd64, linux/arm64]\n")
    modelcrate.said("build", project, "-o", f"modelcar:oci-archive:{tmp_path}/car.tar")
    with containerd() as client:
        for platform in ("linux/amd64", "linux/arm64"):
            name = f"docker.io/library/car-{platform[-5:]}"
            root = tmp_path / platform[-5:]
            root.mkdir()
            options = ("--index-name", name, "--platform", platform, *client.snapshots)
            client("images", "import", *options, tmp_path / "car.tar")
            client("images", "mount", "--platform", platform, *client.snapshots, name, root)
            try:
                assert contents(root / "models") == contents(project / "model")
            finally:
                client("images", "unmount", *client.snapshots, root)
