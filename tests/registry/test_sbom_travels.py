"""Bills of materials on every push, of layers that nobody fetches: what layers hold travels beside the image. Judged by the registry's log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelcrate.config import Config
from modelcrate.security.sbom import contents_artifact, cyclonedx, spdx
from modelcrate.security.signing import keys
from modelcrate.transports.addresses import find
from modelcrate.transports.connections import Connections
from support import index as indexes
from support import real_registry
from support.command import Crate
from support.index import PackageIndex
from support.real_registry import Running
from support.small_projects import SCRIPT, write_project
from support.wheels import filename, wheel_bytes


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    if why := real_registry.missing():
        pytest.skip(why)
    with real_registry.running(tmp_path_factory.mktemp("registry"), logs=True) as running:
        yield running


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A locked project of a wheel, a model and a script."""
    wheels = {
        filename("gunicorn", "23.0"): wheel_bytes("gunicorn", "23.0"),
        filename("tiny-lib", "1.0"): wheel_bytes("tiny-lib", "1.0"),
    }
    top = tmp_path_factory.mktemp("origin")
    with indexes.serve(PackageIndex(wheels)) as packages:
        folder = write_project(
            top / "project",
            f"""\
            name: told
            python: "3.11"
            base: {{from: scratch, interpreter: /usr/bin/python3.11}}
            dependencies: {{requirements: [tiny-lib], index-url: {packages.url}}}
            models: [{{path: model.pkl, name: m, version: 1}}]
            entry: {{source: src, script: score.py}}
            """,
        )
        (folder / "model.pkl").write_bytes(b"\x80\x04N.")
        (folder / "src").mkdir()
        (folder / "src" / "score.py").write_text(SCRIPT)
        machine(top, "locking")("lock", folder).succeeded()
        yield folder


def machine(tmp_path: Path, name: str) -> Crate:
    """A machine on which modelcrate never ran."""
    (tmp_path / name).mkdir()
    return Crate.at(tmp_path / name)


def push(crate: Crate, project: Path, name: str, *words: str) -> dict[str, Any]:
    receipt: dict[str, Any] = (
        crate("build", project, "--push", name, "--json", "--progress", "none", *words).succeeded().json
    )
    return receipt


def beside(name: str, tmp_path: Path) -> dict[str, bytes]:
    """The documents beside an image, by their types."""
    found = find(f"registry:{name}", Connections(Config(tmp_path / "looking")))
    return {each.kind: b"".join(each.blobs[-1].chunks()) for each in found.attached()}


def fetched(registry: Running, since: int) -> list[str]:
    return [
        path.rpartition("/")[2] for method, path, _ in registry.asked(since) if method == "GET" and "/blobs/" in path
    ]


def test_the_bill_of_a_build_that_fetched_nothing_is_that_of_a_build_from_nothing(
    tmp_path: Path, project: Path, registry: Running
) -> None:
    name = f"{registry.host}/told/same:1"
    plain = push(machine(tmp_path, "one"), project, f"{registry.host}/told/plain:1", "--no-sbom")
    first = push(machine(tmp_path, "two"), project, name)
    assert first["digest"] == plain["digest"], "the image is what it was"
    whole = beside(name, tmp_path)
    assert set(whole) == {spdx.MEDIA_TYPE, cyclonedx.MEDIA_TYPE, contents_artifact.KIND}
    assert b"pkg:pypi/tiny-lib@1.0" in whole[spdx.MEDIA_TYPE]
    assert b"compositions" not in whole[cyclonedx.MEDIA_TYPE], "all of it was looked through"
    assert beside(f"{registry.host}/told/plain:1", tmp_path) == {}

    since, other = len(registry.asked()), f"{registry.host}/told/elsewhere:1"
    crate = machine(tmp_path, "three")
    reused = push(crate, project, other, "--cache-from", f"registry:{name}")
    assert {layer["origin"] for layer in reused["layers"]} == {"reused"}
    layers = {layer["digest"] for layer in reused["layers"]}
    assert not layers.intersection(fetched(registry, since)), "no layer was fetched"
    assert not list(crate.home.rglob("*.whl"))
    assert beside(other, tmp_path) == whole
    again, since = push(crate, project, other), len(registry.asked())
    assert again["outputs"][0]["bytes_sent"] == 0
    assert beside(other, tmp_path) == whole


def test_what_nobody_tells_of_is_said_and_is_fetched_where_that_is_asked(
    tmp_path: Path, project: Path, registry: Running
) -> None:
    name = f"{registry.host}/told/gaps:1"
    push(machine(tmp_path, "one"), project, name, "--no-sbom")
    since = len(registry.asked())
    reused = push(machine(tmp_path, "two"), project, name)
    layers = {layer["digest"]: layer for layer in reused["layers"]}
    assert not layers.keys() & set(fetched(registry, since))
    lean = beside(name, tmp_path)
    document = json.loads(lean[cyclonedx.MEDIA_TYPE])
    assert document["compositions"] == [{"aggregate": "incomplete", "assemblies": ["image"]}]
    gaps = [each["value"] for each in document["metadata"]["component"]["properties"] if each["name"] == cyclonedx.GAP]
    assert any("dependencies" in gap and "was not read" in gap for gap in gaps)
    told = json.loads(lean[spdx.MEDIA_TYPE])
    assert {
        "spdxElementId": "SPDXRef-image",
        "relationshipType": "CONTAINS",
        "relatedSpdxElement": "NOASSERTION",
    } in told["relationships"]
    assert "was not read" in told["packages"][0]["comment"]

    other = f"{registry.host}/told/asked:1"
    push(machine(tmp_path, "three"), project, other, "--cache-from", f"registry:{name}", "--sbom")
    whole = f"{registry.host}/told/whole:1"
    push(machine(tmp_path, "four"), project, whole, "--no-reuse")
    assert beside(other, tmp_path) == beside(whole, tmp_path)


def test_whoever_signs_believes_only_what_their_own_key_signed(
    tmp_path: Path, project: Path, registry: Running
) -> None:
    unsigned, signed = f"{registry.host}/told/unsigned:1", f"{registry.host}/told/signed:1"
    pair = keys.write_pair(tmp_path / "k", None)
    push(machine(tmp_path, "one"), project, unsigned)
    since = len(registry.asked())
    made = push(
        machine(tmp_path, "two"), project, signed, "--cache-from", f"registry:{unsigned}", "--sign", str(pair[0])
    )
    layers = {layer["digest"] for layer in made["layers"]}
    assert layers.intersection(fetched(registry, since)), "nobody of ours vouches, so they are looked through"
    since = len(registry.asked())
    push(machine(tmp_path, "three"), project, signed, "--sign", str(pair[0]))
    assert not layers.intersection(fetched(registry, since)), "our own key does"
    machine(tmp_path, "four")("verify", signed, "--key", pair[1]).succeeded()


def test_golden_requests_that_an_earlier_image_has_are_asked_for_and_not_sent_again(
    registry: Running, tmp_path: Path
) -> None:
    text = "name: asked\nbase: scratch\nmodels: [{path: model.bin, name: m, version: 1}]\ntests: [{request: '[1]'}]\n"
    project, name = write_project(tmp_path / "project", text), f"{registry.host}/golden/asked:1"
    crate = machine(tmp_path, "home")
    counts = []
    for data in ("one", "two"):
        (project / "model.bin").write_text(data)
        since = len(registry.asked())
        push(crate, project, name, "--no-sbom")
        sent = [method for method, path, _ in registry.asked(since) if "/blobs/" in path]
        counts.append((sent.count("POST"), sent.count("PUT")))
    (first, second) = counts
    assert second == (first[0] - 2, first[1] - 2), "all but the golden requests and the empty config"
