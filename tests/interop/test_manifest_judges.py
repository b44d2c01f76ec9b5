"""What `emit` prints, judged by other people's readers, and carried out by podman and by the unit's own command."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from support import real_registry
from support.azure import environment
from support.demo import REQUEST, Built
from support.engines import podman as private_podman
from support.engines import private_network
from support.ports import free_port
from support.shared_command import Modelcrate
from support.tools import PATH, cache, call, need
from support.trusted import judged
from support.waiting import until

pytestmark = pytest.mark.interop

ARTICLE = [6783.288837469616, 4073.0497773702928]
LIMITS = "[containers]\ndefault_ulimits = ['nofile=1024:1024', 'nproc=4096:4096']\n"
"""An ordinary machine's own limits are higher than those of the machines that tests run on."""

KUBERNETES = "1.31"
"""The version of Kubernetes whose schemas judge."""


@pytest.fixture(scope="module")
def reference(docker_registry: real_registry.Running, demo: Built, modelcrate: Modelcrate) -> str:
    address = f"{docker_registry.host}/team/diabetes:1"
    modelcrate.said("push", f"oci:{demo.layout}:1", address)
    return address


@pytest.fixture(scope="module")
def job(docker_registry: real_registry.Running, small: Built, modelcrate: Modelcrate) -> str:
    """An image without a server."""
    address = f"{docker_registry.host}/team/small:1"
    modelcrate.said("push", f"oci:{small.layout}:1", address)
    return address


def emit(modelcrate: Modelcrate, *words: str) -> str:
    return modelcrate.said("emit", *words)


def test_kubernetes_schemas_take_the_workload(modelcrate: Modelcrate, reference: str, job: str) -> None:
    script = (
        "import json, sys, yaml, kubernetes_validate as k\n"
        "for each in yaml.safe_load_all(sys.argv[1]): k.validate(each, sys.argv[2], strict=True); print(each['kind'])\n"
    )
    text = emit(modelcrate, "k8s", reference)
    assert judged("kubernetes_validate", script, text, KUBERNETES).split() == ["Deployment", "Service"]
    assert judged("kubernetes_validate", script, emit(modelcrate, "k8s", job), KUBERNETES).split() == ["Job"]
    with pytest.raises(AssertionError, match="replicas"):
        judged("kubernetes_validate", script, text.replace("replicas: 1", "replicas: many"), KUBERNETES)


def test_kserves_own_types_have_every_member(modelcrate: Modelcrate, reference: str) -> None:
    """KServe's types name the members of a service and its predictor; its pod is Kubernetes' own, whose schema judges it."""
    script = (
        "import json, sys, yaml, kserve, kubernetes_validate as k\n"
        "found = yaml.safe_load(sys.argv[1]); predictor = found['spec']['predictor']\n"
        "known = lambda of: set(of.attribute_map.values())\n"
        "assert set(found) <= known(kserve.V1beta1InferenceService), found\n"
        "assert set(found['spec']) <= known(kserve.V1beta1InferenceServiceSpec), found\n"
        "assert set(predictor) <= known(kserve.V1beta1PredictorSpec), predictor\n"
        "k.validate({'apiVersion': 'v1', 'kind': 'Pod', 'metadata': found['metadata'], 'spec': predictor}, sys.argv[2], strict=True)\n"
        "print(found['kind'], *[f\"{each['image']} {each['ports'][0]['containerPort']}\" for each in predictor['containers']])\n"
    )
    text = emit(modelcrate, "kserve", reference)
    kind, image, port = judged("kserve", script, text, KUBERNETES).split()
    assert (kind, port) == ("InferenceService", "5001")
    assert "@sha256:" in image
    with pytest.raises(AssertionError, match="nodeSelektor"):
        judged("kserve", script, text.replace("nodeSelector:", "nodeSelektor:"), KUBERNETES)


AZURE = """
import json, sys, yaml
from azure.mgmt.containerinstance.models import ContainerGroup

told = yaml.safe_load(sys.argv[1])
assert told.pop("apiVersion") == "2023-05-01"
found = ContainerGroup.deserialize(told)
assert found.serialize(keep_readonly=True) == told, found.serialize(keep_readonly=True)
print(found.containers[0].image, found.containers[0].readiness_probe.http_get.path, found.ip_address.ports[0].port)
"""
"""What the types do not know is lost when they are written again."""


def test_azures_own_types_take_the_container_group(modelcrate: Modelcrate, reference: str) -> None:
    python = environment("azure-containers", "azure-mgmt-containerinstance==10.1.0", "pyyaml", compiled=False)
    text = emit(modelcrate, "aci", reference)
    image, path, port = call(python, "-c", AZURE, text).split()
    assert ("@sha256:" in image, path, port) == (True, "/", "5001")
    with pytest.raises(AssertionError, match="in <module>"):
        call(python, "-c", AZURE, text.replace("memoryInGB:", "memoryGB:"))


GOOGLE = """
import json, pathlib, sys, yaml
import googleapiclient

known = json.loads((pathlib.Path(googleapiclient.__path__[0]) / "discovery_cache/documents/run.v1.json").read_text())["schemas"]
KINDS = {"string": str, "integer": int, "boolean": bool, "number": (int, float)}


def check(value, schema, place):
    schema = known[schema["$ref"]] if "$ref" in schema else schema
    kind = schema.get("type")
    if kind == "array":
        for each in value:
            check(each, schema["items"], place + "[]")
    elif kind == "object":
        for name, each in value.items():
            inner = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
            assert inner, f"{place}.{name} is unknown"
            check(each, inner, f"{place}.{name}")
    else:
        assert isinstance(value, KINDS[kind]), (place, value, kind)


service = yaml.safe_load(sys.argv[1])
check(service, known["Service"], "service")
(container,) = service["spec"]["template"]["spec"]["containers"]
print(container["image"], container["ports"][0]["containerPort"])
"""


def test_googles_own_description_of_cloud_run_has_every_member(modelcrate: Modelcrate, reference: str) -> None:
    python = environment("google-api", "google-api-python-client==2.185.0", "pyyaml", compiled=False)
    text = emit(modelcrate, "cloudrun", reference)
    image, port = call(python, "-c", GOOGLE, text).split()
    assert ("@sha256:" in image, port) == (True, "5001")
    with pytest.raises(AssertionError, match="failureTreshold is unknown"):
        call(python, "-c", GOOGLE, text.replace("failureThreshold", "failureTreshold"))


def test_compose_takes_the_file(modelcrate: Modelcrate, reference: str, tmp_path: Path) -> None:
    need("docker-compose")
    (tmp_path / "docker-compose.yml").write_text(emit(modelcrate, "compose", reference))
    words = ["--project-directory", tmp_path, "-f", tmp_path / "docker-compose.yml"]
    service = yaml.safe_load(call("docker-compose", *words, "config"))["services"]["diabetes"]
    assert service["read_only"] is True
    assert service["healthcheck"]["test"][0] == "CMD"


def test_systemd_takes_the_unit(modelcrate: Modelcrate, reference: str, tmp_path: Path) -> None:
    need("systemd-analyze")
    unit = emit(modelcrate, "systemd", reference).replace("/usr/local/bin/modelcrate", sys.executable)
    (tmp_path / "diabetes.service").write_text(unit)
    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / "diabetes.service"], capture_output=True, text=True, env={"PATH": PATH}
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_units_own_command_serves(modelcrate: Modelcrate, reference: str, tmp_path: Path) -> None:
    """The words of ExecStart are started as systemd would; only the port is another, for it may be taken."""
    unit = emit(modelcrate, "systemd", reference)
    line = next(line for line in unit.splitlines() if line.startswith("ExecStart=")).partition("=")[2]
    port = free_port()
    words = shlex.split(line.replace("--publish 5001:5001", f"--publish {port}:5001"))
    environment = {"MODELCRATE_HOME": str(tmp_path / "home"), "PATH": PATH, "HOME": str(tmp_path)}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "modelcrate", *words[1:]], env=environment, stdout=log, stderr=log
        )
    try:
        answered: list[str] = []

        def answers() -> bool:
            assert process.poll() is None, (tmp_path / "log").read_text()[-2000:]
            done = subprocess.run(
                [sys.executable, "-m", "modelcrate", "predict", f"http://127.0.0.1:{port}", "-d", REQUEST],
                capture_output=True,
                text=True,
                env=environment,
            )
            answered.append(done.stdout)
            return done.returncode == 0

        until(answers, "the container of the unit")
        assert json.loads(answered[-1]) == pytest.approx(ARTICLE, rel=1e-9)
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def quadlet() -> Path:
    program = cache() / "sid" / "usr" / "libexec" / "podman" / "quadlet"
    if not program.exists():
        pytest.skip(f"quadlet is not in {cache() / 'sid'} (tools/install-judges.sh fetches it from Debian's sid)")
    return program


def test_quadlet_takes_the_file(modelcrate: Modelcrate, reference: str, quadlet: Path, tmp_path: Path) -> None:
    (tmp_path / "diabetes.container").write_text(emit(modelcrate, "quadlet", reference))
    text = call(quadlet, "-dryrun", environment={"QUADLET_UNIT_DIRS": str(tmp_path)})
    start = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    for word in ("--read-only", "--cap-drop all", "--publish 127.0.0.1:5001:5001", "--health-cmd", "@sha256:"):
        assert word in start


@pytest.mark.network
def test_podman_plays_the_workload_and_it_scores(modelcrate: Modelcrate, reference: str, tmp_path: Path) -> None:
    need("podman", "runc", root=True)
    if not Path("/usr/libexec/podman/catatonit").exists():
        pytest.skip("catatonit not installed (Debian package: catatonit)")
    workload, manifest = tmp_path / "k8s.yaml", emit(modelcrate, "k8s", reference)
    workload.write_text(manifest)
    (tmp_path / "containers.conf").write_text(LIMITS)
    environment = {"CONTAINERS_CONF": str(tmp_path / "containers.conf")}
    image = next(line for line in manifest.splitlines() if " image: " in line).split()[-1]
    with private_podman() as pod, private_network() as network:
        pod("pull", "--quiet", "--tls-verify=false", image)
        call(*network.words(*pod.words("kube", "play", workload)), environment=environment)
        try:
            name = pod("ps", "--filter", f"ancestor={image}", "--format", "{{.Names}}").strip()
            ip = pod("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", name).strip()
            assert json.loads(network.post(f"http://{ip}:5001/score", REQUEST)) == pytest.approx(ARTICLE, rel=1e-9)
        finally:
            call(*network.words(*pod.words("kube", "down", workload)), environment=environment)
