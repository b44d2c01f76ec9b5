"""dockerd, podman, containerd and skopeo read our archives; the demo's container answers in each that can run it."""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelcrate.security.signing import keys
from support.demo import NAME, REQUEST, Built
from support.engines import Containerd, Docker, Podman, PrivateNetwork, containerd, docker, podman, private_network
from support.tools import call, need, skopeo

pytestmark = pytest.mark.interop

SCORE = "http://127.0.0.1:5001/score"
INVOCATIONS = "http://127.0.0.1:8080/invocations"
SAGEMAKER = ("--env", "MODELCRATE_CONTRACTS=azureml,sagemaker")  # which starts `docker run IMAGE serve`
Load = Callable[[Path], str]
ARTICLE = [6783.288837469616, 4073.0497773702928]


@pytest.fixture(scope="module")
def dockerd() -> Iterator[Docker]:
    with docker() as client:
        yield client


@pytest.fixture(scope="module")
def pod() -> Iterator[Podman]:
    with podman() as client:
        yield client


@pytest.fixture(scope="module")
def importer() -> Iterator[Containerd]:
    with containerd() as client:
        yield client


@pytest.fixture(scope="module")
def dockerd_loads(dockerd: Docker) -> Load:
    """`docker load`, once an archive."""
    return functools.cache(lambda archive: dockerd("load", "-q", "-i", archive).strip())


@pytest.fixture(scope="module")
def podman_loads(pod: Podman) -> Load:
    """`podman load`, once an archive."""
    return functools.cache(lambda archive: pod("load", "-q", "-i", archive).strip())


@pytest.fixture(scope="module")
def quiet() -> Iterator[PrivateNetwork]:
    with private_network() as network:
        yield network


@pytest.fixture(scope="module", params=["small", pytest.param("demo", marks=pytest.mark.network)])
def built(request: pytest.FixtureRequest) -> Built:
    made = request.getfixturevalue(request.param)
    assert isinstance(made, Built)
    return made


def name_of(built: Built) -> str:
    return f"{built.receipt['name']}:1"


def test_docker_loads_the_archive_under_its_name_and_our_id(built: Built, dockerd: Docker, dockerd_loads: Load) -> None:
    assert dockerd_loads(built.docker_archive) == f"Loaded image: {name_of(built)}"
    seen = json.loads(dockerd("image", "inspect", name_of(built)))[0]
    assert seen["Id"] == built.id
    assert seen["RootFS"]["Layers"] == [layer["diff_id"] for layer in built.receipt["layers"]]


def test_docker_loads_an_archive_that_carries_signatures_and_bills_of_materials(
    small: Built, dockerd: Docker, pod: Podman, tmp_path: Path
) -> None:
    pair, archive = keys.write_pair(tmp_path / "k", None), tmp_path / "signed.tar"
    small.modelcrate.said(
        "build", small.project, "-o", f"docker-archive:{archive}", "--sign", pair[0], "--progress", "none"
    )
    proven = json.loads(small.modelcrate.said("verify", f"docker-archive:{archive}", "--key", pair[1], "--json"))[
        "proven"
    ]
    assert len({each["predicateType"] for each in proven}) == 5
    for client in (dockerd, pod):
        client("load", "-q", "-i", archive)
        assert small.id.removeprefix("sha256:") in client("images", "--no-trunc")


def test_docker_loads_the_archive_from_a_pipe(small: Built, dockerd: Docker) -> None:
    """`modelcrate build -o docker-archive:- | docker load`, with no file in between."""
    words = small.modelcrate.words("build", small.project, "-o", "docker-archive:-", "--progress", "none")
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=small.modelcrate.environment) as building:
        assert building.stdout is not None
        loaded = subprocess.run(
            ["docker", "-H", f"unix://{dockerd.socket}", "load", "-q"], stdin=building.stdout, capture_output=True
        )
    assert (building.returncode, loaded.returncode) == (0, 0), loaded.stderr
    assert json.loads(dockerd("image", "inspect", "small:latest"))[0]["Id"] == small.id


def test_docker_sees_the_files_of_the_models(small: Built, dockerd: Docker, dockerd_loads: Load) -> None:
    dockerd_loads(small.docker_archive)
    script = "cd /var/azureml-app/azureml-models/letters/3/model && ls && readlink link && cat deep/*/long.txt"
    seen = dockerd("run", "--rm", "--network", "none", "small:1", "sh", "-c", script)
    assert seen.split() == ["deep", "empty", "link", "weights.bin", "ünï.txt", "weights.bin", "long"]


@pytest.mark.network
def test_docker_runs_the_demo_and_it_scores(demo: Built, dockerd: Docker, dockerd_loads: Load) -> None:
    """The article's `docker run` line, with --network host where it has -p: this daemon has no bridge to publish from."""
    dockerd_loads(demo.docker_archive)
    container = dockerd("run", "--detach", "--network", "host", NAME).strip()
    assert json.loads(dockerd.network.post(SCORE, REQUEST)) == pytest.approx(ARTICLE, rel=1e-9)
    dockerd("stop", "--time", "300", container)
    # SIGTERM ended it: a container that had to be killed has exit code 137
    assert dockerd("inspect", "--format", "{{.State.ExitCode}}", container).strip() == "0"
    dockerd("rm", container)


@pytest.mark.network
def test_docker_runs_the_demo_read_only_as_anybody_without_rights(
    demo: Built, dockerd: Docker, dockerd_loads: Load
) -> None:
    dockerd_loads(demo.docker_archive)
    strict = ("--read-only", "--tmpfs", "/tmp", "--user", "123456:0", "--cap-drop", "ALL")
    container = dockerd("run", "--detach", "--network", "host", *strict, *SAGEMAKER, NAME, "serve").strip()
    assert json.loads(dockerd.network.post(SCORE, REQUEST)) == pytest.approx(ARTICLE, rel=1e-9)
    assert json.loads(dockerd.network.post(INVOCATIONS, REQUEST)) == pytest.approx(ARTICLE, rel=1e-9)
    dockerd("rm", "--force", container)


def test_podman_loads_both_archives_under_our_id(built: Built, pod: Podman, podman_loads: Load) -> None:
    assert podman_loads(built.docker_archive) == f"Loaded image: docker.io/library/{name_of(built)}"
    assert pod("image", "inspect", "--format", "{{.Id}}", name_of(built)).strip() in built.id
    assert podman_loads(built.oci_archive) == f"Loaded image: {built.id}"


@pytest.mark.network
def test_podman_runs_the_demo_and_it_scores(
    demo: Built, pod: Podman, podman_loads: Load, quiet: PrivateNetwork
) -> None:
    podman_loads(demo.docker_archive)
    limits = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096")
    words = pod.words("run", "--detach", "--network", "host", *limits, "--read-only", NAME)
    container = call(*quiet.words(*words)).strip()
    assert json.loads(quiet.post(SCORE, REQUEST)) == pytest.approx(ARTICLE, rel=1e-9)
    pod("rm", "--force", "--time", "5", container)


def test_containerd_imports_the_docker_archive_under_its_name(small: Built, importer: Containerd) -> None:
    importer("images", "import", *importer.snapshots, small.docker_archive)
    assert f"docker.io/library/{name_of(small)}" in importer("images", "ls", "-q").split()


def test_containerd_imports_the_oci_archive_under_our_digest(built: Built, importer: Containerd) -> None:
    name = f"other/{built.receipt['name']}"
    importer("images", "import", *importer.snapshots, "--digests", "--base-name", name, built.oci_archive)
    assert f"{name}@{built.digest}" in importer("images", "ls", "-q").split()


@pytest.mark.parametrize("source", ["oci:{0.layout}:1", "oci-archive:{0.oci_archive}"])
def test_skopeo_copies_without_changing_a_digest(built: Built, tmp_path: Path, source: str) -> None:
    need("skopeo")
    skopeo("copy", "--preserve-digests", source.format(built), f"oci:{tmp_path}/copy:1")
    copied = json.loads((tmp_path / "copy" / "index.json").read_text())["manifests"][0]
    assert copied["digest"] == built.digest


def test_skopeo_reads_the_docker_archive(built: Built, tmp_path: Path) -> None:
    need("skopeo")
    config = skopeo("inspect", "--config", "--raw", f"docker-archive:{built.docker_archive}:{name_of(built)}")
    assert config.encode() == built.blob(built.id).read_bytes()
    skopeo("copy", f"docker-archive:{built.docker_archive}", f"dir:{tmp_path}/dir")
