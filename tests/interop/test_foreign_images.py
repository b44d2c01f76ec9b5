"""The other way round: we read, run, push and build on images that other people's tools wrote."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from modelcrate.config import Config
from modelcrate.events import ignore_event
from modelcrate.images.image import assemble
from modelcrate.images.image_config import RunSpec
from modelcrate.project.values import RegistryBase
from modelcrate.resolve.existing_base import resolve_existing
from modelcrate.transports import oci
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Literal, Platform
from support.demo import Built, cache, small_project
from support.engines import docker, podman
from support.foreign_bases import GLIBC, image_layer, program
from support.real_registry import Running
from support.rootfs import layer, member
from support.shared_command import Modelcrate
from support.tools import need, skopeo

pytestmark = pytest.mark.interop

READ = "cd /var/azureml-app/azureml-models/letters/3/model && cat deep/*/long.txt && readlink link"

Make = Callable[[Built, Path], str]


def by_skopeo_layout(small: Built, folder: Path) -> str:
    need("skopeo")
    skopeo("copy", f"oci:{small.layout}:1", f"oci:{folder}/oci:x")
    return f"oci:{folder}/oci:x"


def by_skopeo_oci_archive(small: Built, folder: Path) -> str:
    need("skopeo")
    skopeo("copy", f"oci:{small.layout}:1", f"oci-archive:{folder}/oci.tar:x")
    return f"oci-archive:{folder}/oci.tar"


def by_skopeo_docker_archive(small: Built, folder: Path) -> str:
    need("skopeo")
    skopeo("copy", f"docker-archive:{small.docker_archive}", f"docker-archive:{folder}/d.tar:x:1")
    return f"docker-archive:{folder}/d.tar"


def by_docker_save(small: Built, folder: Path) -> str:
    """Before version 25, Docker writes its own form only: a folder a layer, and links between equal layers."""
    with docker() as client:
        client("load", "-q", "-i", small.docker_archive)
        client("save", "-o", folder / "saved.tar", "small:1")
    return f"docker-archive:{folder}/saved.tar"


def by_podman_save_docker(small: Built, folder: Path) -> str:
    with podman() as client:
        client("load", "-q", "-i", small.docker_archive)
        client("save", "-q", "--format", "docker-archive", "-o", folder / "saved.tar", "small:1")
    return f"docker-archive:{folder}/saved.tar"


def by_podman_save_oci(small: Built, folder: Path) -> str:
    with podman() as client:
        client("load", "-q", "-i", small.docker_archive)
        client("save", "-q", "--format", "oci-archive", "-o", folder / "saved.tar", "small:1")
    return f"oci-archive:{folder}/saved.tar"


def by_buildah_push(small: Built, folder: Path) -> str:
    """An image that buildah committed over ours, with a layer and settings of its own."""
    with podman("buildah") as client:
        client("pull", f"oci:{small.layout}:1")
        name = client("from", "--pull-never", small.id.removeprefix("sha256:")).strip()
        (folder / "more").write_text("more\n")
        client("copy", name, folder / "more", "/more")
        client("config", "--env", "WHO=buildah", "--workingdir", "/srv", name)
        made = client("commit", "-q", name).strip()
        client("push", "--signature-policy", client.folder / "policy.json", made, f"oci:{folder}/oci:x")
    return f"oci:{folder}/oci:x"


WRITERS = [value for name, value in list(globals().items()) if name.startswith("by_")]


@pytest.fixture(scope="module", params=WRITERS, ids=lambda make: make.__name__)
def foreign(request: pytest.FixtureRequest, small: Built, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of an image that somebody else wrote."""
    make: Make = request.param
    return make(small, tmp_path_factory.mktemp("foreign"))


def test_inspect_names_the_layers_of_the_original(foreign: str, small: Built, modelcrate: Modelcrate) -> None:
    (image,) = modelcrate.json("inspect", foreign)["images"]
    wanted = [layer["diff_id"] for layer in small.receipt["layers"]]
    assert image["config"]["rootfs"]["diff_ids"][: len(wanted)] == wanted
    assert image["platform"] == "linux/amd64"


def test_it_runs(foreign: str, modelcrate: Modelcrate) -> None:
    said = modelcrate.said("run", "--name", "foreign", foreign, "sh", "-c", READ)
    assert said.split() == ["long", "weights.bin"]


def test_it_goes_to_a_registry_where_skopeo_finds_it(
    foreign: str, modelcrate: Modelcrate, docker_registry: Running, request: pytest.FixtureRequest
) -> None:
    need("skopeo")
    name = f"{docker_registry.host}/foreign/{request.node.callspec.id.replace('_', '-')}:1"
    pushed = modelcrate.json("push", foreign, name)
    seen = json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{name}"))
    assert seen["Digest"] == pushed["digest"]
    assert len(seen["Layers"]) == len(pushed["layers"])


def test_we_build_on_it(foreign: str, modelcrate: Modelcrate, tmp_path: Path) -> None:
    """Its layers stay as they are below ours, and what its configuration said is still said."""
    (below,) = modelcrate.json("inspect", foreign)["images"]
    project = small_project(tmp_path / "project", base=foreign, env="{OURS: '1'}")
    receipt = modelcrate.json("build", project, "-o", f"oci:{tmp_path}/oci:1")
    (above,) = modelcrate.json("inspect", f"oci:{tmp_path}/oci:1")["images"]
    ids = below["config"]["rootfs"]["diff_ids"]
    assert above["config"]["rootfs"]["diff_ids"][:-1] == ids
    assert [layer["origin"] for layer in receipt["layers"]] == ["reused"] * len(ids) + ["built"]
    assert set(below["config"]["config"]["Env"]) | {"OURS=1"} == set(above["config"]["config"]["Env"])
    said = modelcrate.said("run", "--name", "above", f"oci:{tmp_path}/oci:1", "sh", "-c", READ)
    assert said.split() == ["long", "weights.bin"]


@pytest.fixture(scope="session")
def modelcar() -> Path:
    """The OCI layout for several platforms that PyPI's modelcar-base-image brings, fetched once a machine."""
    folder = cache() / "modelcar-base-image-0.1.0"
    if not folder.exists():
        words = ["uv", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), "modelcar-base-image==0.1.0"]
        done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no package index answers: {done.stderr.strip()[-200:]}")
    (layout,) = {path.parent for path in folder.rglob("oci-layout")}
    return layout


@pytest.mark.network
def test_modelcar_base_image_carries_our_models(modelcar: Path, modelcrate: Modelcrate, tmp_path: Path) -> None:
    found = modelcrate.json("inspect", f"oci:{modelcar}")
    platforms = [image["platform"].split("/")[:2] for image in found["images"]]
    assert ["linux", "amd64"] in platforms
    assert ["linux", "arm64"] in platforms
    project = small_project(tmp_path / "car", base=f"oci:{modelcar}", platforms="[linux/amd64, linux/arm64]")
    receipt = modelcrate.json("build", project, "-o", f"oci:{tmp_path}/oci:1")
    for built in receipt["images"]:
        (below,) = [each for each in found["images"] if each["platform"].startswith(built["platform"])]
        assert [layer["diff_id"] for layer in built["layers"][:-1]] == below["config"]["rootfs"]["diff_ids"]
        assert built["layers"][-1]["role"] == "model"
    need("skopeo")
    skopeo("copy", "--all", "--preserve-digests", f"oci:{tmp_path}/oci:1", f"oci:{tmp_path}/copy:1")


def test_kserves_sidecar_finds_the_models_of_an_image_with_a_shell(modelcrate: Modelcrate, tmp_path: Path) -> None:
    """What KServe runs in its modelcar containers (pkg/utils/storage.go)."""
    project = small_project(tmp_path / "car", modelcar="true")
    modelcrate.said("build", project, "-o", f"oci:{tmp_path}/oci:1")
    asked = '[ -d /models ] && [ "$(ls -A /models)" ] && ln -sf /proc/$$/root/models /tmp/model && ls /tmp/model/'
    said = modelcrate.said("run", "--name", "sidecar", f"oci:{tmp_path}/oci:1", "sh", "-c", asked)
    assert set(said.split()) == {"deep", "empty", "link", "weights.bin", "ünï.txt"}


def test_layers_of_a_base_in_the_same_registry_are_mounted_and_never_fetched(
    small: Built, modelcrate: Modelcrate, talkative_registry: Running, tmp_path: Path
) -> None:
    base = f"{talkative_registry.host}/team/base:1"
    modelcrate.said("push", f"oci:{small.layout}:1", base)
    before = len(talkative_registry.answered())
    project = small_project(tmp_path / "project", base=base)
    receipt = modelcrate.json("build", project, "--push", f"{talkative_registry.host}/other/place:1")
    since = talkative_registry.answered()[before:]
    layers = {layer["digest"] for layer in small.receipt["layers"]}
    fetched = [each["uri"] for each in since if each["method"] == "GET" and any(d in each["uri"] for d in layers)]
    assert since
    assert fetched == []
    mounted = {each["uri"] for each in since if (each["method"], each["status"]) == ("POST", "201")}
    assert {digest for digest in layers if any(digest in uri for uri in mounted)} == layers
    assert receipt["outputs"][0]["bytes_sent"] < 20_000


def shortest(tar: Literal) -> Literal:
    """The tar with two blocks of zeros at its end: skopeo 1.9 drops further ones, so that its layer has another diff id than its config says."""
    end = len(tar.data.rstrip(b"\0"))
    return Literal(tar.data[: end + -end % 512] + bytes(1024), tar.descriptor.media_type)


def test_of_a_chunked_base_no_more_than_the_table_of_its_data_is_fetched(
    talkative_registry: Running, tmp_path: Path
) -> None:
    """zstd:chunked as the installed skopeo writes it: what the annotations are called depends on its version."""
    need("skopeo")
    system = layer(
        member("usr/bin/python3.11", program(), mode=0o755), member("usr/lib/x86_64-linux-gnu/libc.so.6", GLIBC)
    )
    data = layer(member("srv/data", random.Random(1).randbytes(3_000_000)))
    platform, reference = Platform("linux", "amd64"), f"{talkative_registry.host}/team/chunked:1"
    with Connections(Config(tmp_path / "home")) as connections:
        image = assemble(platform, {}, [image_layer(shortest(each)) for each in (system, data)], RunSpec())
        oci.parse(f"{tmp_path}/plain:1").deliver(image, connections, ignore_event)
        chunked = ("--format", "oci", "--dest-compress", "--dest-compress-format", "zstd:chunked")
        skopeo("copy", "--dest-tls-verify=false", *chunked, f"oci:{tmp_path}/plain:1", f"docker://{reference}")
        before = len(talkative_registry.answered())
        below = resolve_existing(RegistryBase(reference), platform, None, tmp_path, connections)
    assert (below.interpreter, below.glibc) == ("/usr/bin/python3.11", (2, 36))
    upper = str(below.layers[1].layer.descriptor.digest)
    fetched = [each["status"] for each in talkative_registry.answered()[before:] if upper in each["uri"]]
    assert fetched
    assert set(fetched) == {"206"}, "the table alone, by its range"
