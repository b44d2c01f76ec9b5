"""What images say about how they want to be run, and the files that say it to orchestrators."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml

from modelcrate.export.deployment import LEAST_MEMORY, PROGRAM_MEMORY, Deployment, describe_deployment
from modelcrate.export.manifests import FOR_JOBS, FORMATS, write_manifest
from modelcrate.images.image import Image, ImageLayer, assemble
from modelcrate.images.image_config import HEALTH_LABEL, RunSpec
from modelcrate.images.reference import Reference
from modelcrate_layers.content import Digest, Platform
from modelcrate_layers.errors import UserError
from modelcrate_layers.tar import codec
from modelcrate_layers.tar.recipe import Recipe, RecipeBlob, measure
from modelcrate_layers.tar.sources import Bytes
from modelcrate_layers.tar.tree import Tree, file

DIGEST = Digest.parse(f"sha256:{'a' * 64}")
REFERENCE = Reference.parse("registry.example/team/Sums.v1".lower()).at(DIGEST)
SERVER = {"AML_APP_ROOT": "/var/azureml-app", "MODELCRATE_CONTRACTS": "azureml,kserve"}
PINNED = f"registry.example/team/sums.v1@{DIGEST}"


def image(spec: RunSpec, models: int = 0, machine: str = "amd64") -> Image:
    recipe = Recipe(Tree.of([file(b"m", Bytes(b"\0" * models), 0o644)], roots=()), codec.NONE)
    layer = measure(recipe)
    return assemble(Platform("linux", machine), {}, [ImageLayer("model", "m", layer, RecipeBlob(recipe, layer))], spec)


def served(**changes: Any) -> Deployment:
    spec = RunSpec(env=SERVER, ports=(8080, 5001), user="10001:0")
    return replace(describe_deployment([image(spec)], REFERENCE), **changes)


def documents(name: str, deployment: Deployment) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(write_manifest(name, deployment)))


def test_a_deployment_has_what_the_image_says() -> None:
    found = served()
    assert (found.name, found.image) == ("sums-v1", PINNED)
    assert found.ports == (5001, 8080), "the port of the first contract is first"
    assert (found.health, found.contracts, found.user) == ("/", ("azureml", "kserve"), (10001, 0))
    assert (found.served, found.gpu, found.architectures) == (True, False, ("amd64",))


def test_memory_grows_with_the_models() -> None:
    spec = RunSpec(env=SERVER, ports=(5001,))
    small, large = (describe_deployment([image(spec, size)], REFERENCE).memory for size in (0, 1 << 20))
    assert PROGRAM_MEMORY < small < large
    assert large - small == 2 << 20
    assert describe_deployment([image(spec)], REFERENCE, memory=1 << 30).memory == 1 << 30


def test_a_program_of_the_user_has_its_own_health_and_nothing_of_our_server() -> None:
    spec = RunSpec(ports=(8000,), user="app", labels={HEALTH_LABEL: "/ok"})
    found = describe_deployment([image(spec)], REFERENCE)
    assert (found.health, found.user, found.served, found.contracts) == ("/ok", None, False, ())
    [workload, _] = documents("k8s", found)
    pod = workload["spec"]["template"]["spec"]
    assert "runAsUser" not in pod["securityContext"]
    assert "readOnlyRootFilesystem" not in pod["containers"][0]["securityContext"]
    assert pod["containers"][0]["readinessProbe"]["httpGet"] == {"path": "/ok", "port": 8000}
    assert "healthcheck" not in documents("compose", found)[0]["services"][found.name]


def test_a_server_without_a_health_path_is_probed_by_a_connection() -> None:
    found = describe_deployment([image(RunSpec(ports=(8000,)))], REFERENCE)
    [workload, _] = documents("k8s", found)
    assert workload["spec"]["template"]["spec"]["containers"][0]["startupProbe"]["tcpSocket"] == {"port": 8000}
    assert documents("cloudrun", found)[0]["spec"]["template"]["spec"]["containers"][0]["startupProbe"]["tcpSocket"]
    assert "livenessProbe" not in documents("aci", found)[0]["properties"]["containers"][0]["properties"]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_pins_the_image_by_its_digest(name: str) -> None:
    text = write_manifest(name, served())
    assert PINNED in text
    assert text.endswith("\n")
    assert "&id" not in text, "equal values are written out"


@pytest.mark.parametrize("name", FORMATS)
def test_a_program_without_a_port_is_a_job_or_refused(name: str) -> None:
    job = describe_deployment([image(RunSpec(command=("work",)))], REFERENCE)
    if name not in FOR_JOBS:
        with pytest.raises(UserError, match="names no port"):
            write_manifest(name, job)
        return
    text = write_manifest(name, job)
    assert "5001" not in text
    if name == "k8s":
        [found] = documents(name, job)
        assert (found["kind"], found["spec"]["template"]["spec"]["restartPolicy"]) == ("Job", "Never")
    if name == "systemd":
        assert "Type=oneshot" in text
        assert "Restart=" not in text


def test_cards_are_asked_for_where_the_image_asks_for_them() -> None:
    spec = RunSpec(env={**SERVER, "NVIDIA_VISIBLE_DEVICES": "all"}, ports=(5001,))
    found = describe_deployment([image(spec)], REFERENCE)
    assert found.gpu
    container = documents("k8s", found)[0]["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert "AddDevice=nvidia.com/gpu=all" in write_manifest("quadlet", found)
    assert not describe_deployment(
        [image(RunSpec(env={**SERVER, "NVIDIA_VISIBLE_DEVICES": "void"}, ports=(5001,)))], REFERENCE
    ).gpu


def test_an_index_is_scheduled_anywhere_that_it_has_an_image_for() -> None:
    spec = RunSpec(env=SERVER, ports=(5001,))
    both = describe_deployment([image(spec), image(spec, machine="arm64")], REFERENCE)
    selector = documents("k8s", both)[0]["spec"]["template"]["spec"]["nodeSelector"]
    assert selector == {"kubernetes.io/os": "linux"}
    selector = documents("k8s", served())[0]["spec"]["template"]["spec"]["nodeSelector"]
    assert selector["kubernetes.io/arch"] == "amd64"


def test_kserve_is_told_whether_the_image_speaks_its_protocol() -> None:
    assert "speaks KServe's protocol v1" in write_manifest("kserve", served())
    assert "speaks KServe's protocol v2" in write_manifest("kserve", served(contracts=("oip-grpc",)))
    assert "speaks none of KServe's protocols" in write_manifest("kserve", served(contracts=("azureml",)))


@pytest.mark.parametrize("repository", ["team/9lives", "team/a_b__c", "team/" + "x" * 200, "team/a.b-c"])
def test_a_repository_gives_a_name_that_clusters_take(repository: str) -> None:
    reference = Reference.parse(f"registry.example/{repository}").at(DIGEST)
    name = describe_deployment([image(RunSpec())], reference).name
    assert describe_deployment([image(RunSpec())], reference, name).name == name


@pytest.mark.parametrize("name", ["9a", "A", "a_b", "a" * 64, "a-", "a\nb", "-rm"])
def test_a_name_that_clusters_refuse_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="not a name for clusters"):
        describe_deployment([image(RunSpec())], REFERENCE, name)


@pytest.mark.parametrize("cpus", [0, -1, float("nan"), 1e9])
def test_processors_are_bounded(cpus: float) -> None:
    with pytest.raises(UserError, match="not a number of processors"):
        describe_deployment([image(RunSpec())], REFERENCE, cpus=cpus)


def test_memory_is_bounded() -> None:
    with pytest.raises(UserError, match="not enough memory"):
        describe_deployment([image(RunSpec())], REFERENCE, memory=LEAST_MEMORY - 1)


def test_odd_settings_of_foreign_images_are_passed_over() -> None:
    odd = image(RunSpec(user="99999999999999999999"))
    found = describe_deployment([odd], REFERENCE)
    assert (found.user, found.ports) == (None, ())
