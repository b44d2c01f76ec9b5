"""Layers from the image that a tag names already: a fresh machine takes them over, and sends only what is new. Judged by the real
registry's own log, the package index's, and what is in MODELCRATE_HOME afterwards."""

from __future__ import annotations

import random
import shutil
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from modelcrate.config import Config
from modelcrate.events import ignore_event
from modelcrate.transports.addresses import find
from modelcrate.transports.connections import Connections
from modelcrate.transports.registry import parse
from support import real_registry
from support.command import Crate
from support.forged import forge
from support.index import PackageIndex
from support.ports import free_port
from support.real_registry import Running
from support.small_projects import SCRIPT, write_project

MODEL = random.Random(1).randbytes(300_000)
HEAVY = random.Random(2).randbytes(400_000)
LINE = "\n# one more line\n"


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory, packages: PackageIndex, registry: Running) -> tuple[Path, str]:
    """A locked project, and the reference that it was pushed to from another machine."""
    folder = write_project(
        tmp_path_factory.mktemp("origin") / "project",
        f"""\
        name: served
        python: "3.11"
        base: {{from: scratch, interpreter: /usr/bin/python3.11}}
        dependencies: {{requirements: [tiny-lib], index-url: {packages.url}}}
        models:
          - {{path: model.bin, name: served, version: 1}}
        entry: {{source: src, script: score.py}}
        """,
    )
    (folder / "model.bin").write_bytes(MODEL)
    (folder / "src").mkdir()
    (folder / "src" / "score.py").write_text(SCRIPT)
    crate = machine(folder.parent, "first")
    crate("lock", folder).succeeded()
    build(crate, folder, f"{registry.host}/reuse/first:1")
    return folder, f"{registry.host}/reuse/first:1"


@pytest.fixture
def project(tmp_path: Path, origin: tuple[Path, str], packages: PackageIndex) -> Path:
    """The project of this test, of which the index has heard nothing yet."""
    packages.log.clear()
    return Path(shutil.copytree(origin[0], tmp_path / "project"))


@pytest.fixture
def first(tmp_path: Path, origin: tuple[Path, str], request: pytest.FixtureRequest) -> str:
    """This test's own tag of the image that was pushed."""
    tag = request.node.name.removeprefix("test_")[:60]
    name = f"{origin[1].removesuffix(':1')}:{tag}"
    settings = Config(tmp_path / "tagger")
    parse(name).deliver(
        find(f"registry:{origin[1]}", Connections(settings)).image(), Connections(settings), ignore_event
    )
    return name


def machine(tmp_path: Path, name: str) -> Crate:
    """A machine on which modelcrate never ran."""
    (tmp_path / name).mkdir()
    return Crate.at(tmp_path / name)


def build(crate: Crate, project: Path, name: str, *words: str) -> dict[str, Any]:
    done = crate("build", project, "--push", name, "--json", "--progress", "none", *words).succeeded()
    return {**done.json, "said": done.err}


def blob_requests(registry: Running, since: int) -> list[tuple[str, str, int]]:
    return [each for each in registry.asked(since) if "/blobs/" in each[1]]


def origins(receipt: dict[str, Any]) -> dict[str, str]:
    return {layer["role"]: layer["origin"] for layer in receipt["layers"]}


def downloads(crate: Crate) -> list[Path]:
    return [path for path in crate.home.rglob("*") if path.suffix in (".whl", ".deb") and path.is_file()]


def add_line(project: Path) -> None:
    with (project / "src" / "score.py").open("a") as script:
        script.write(LINE)


def test_a_fresh_machine_downloads_no_package_and_sends_nothing(
    tmp_path: Path, project: Path, packages: PackageIndex, registry: Running, first: str
) -> None:
    since, crate = len(registry.asked()), machine(tmp_path, "second")
    receipt = build(crate, project, first)
    assert set(origins(receipt).values()) == {"reused"}
    assert packages.log == [], "with a lock nobody is asked"
    assert downloads(crate) == []
    assert receipt["outputs"][0]["bytes_sent"] == 0
    asked = blob_requests(registry, since)
    got = [path for method, path, _ in asked if method != "HEAD"]
    assert len(got) == 2, "the config of the earlier image, and what is told of its layers, is all that is read"
    assert {status for method, _, status in asked if method == "HEAD"} == {200}


def test_one_line_of_the_script_sends_only_its_layer(
    tmp_path: Path, project: Path, packages: PackageIndex, registry: Running, first: str
) -> None:
    since, crate = len(registry.asked()), machine(tmp_path, "second")
    add_line(project)
    receipt = build(crate, project, first, "--no-sbom")
    assert origins(receipt) == {"dependencies": "reused", "server": "reused", "model": "reused", "entry": "built"}
    assert receipt["outputs"][0]["bytes_sent"] < 100_000
    uploads = [path for method, path, status in registry.asked(since) if method == "PUT" and status == 201]
    assert len(uploads) == 3, "the entry layer, the config, the manifest"
    heads = [path for method, path, _ in blob_requests(registry, since) if method == "HEAD"]
    assert len(heads) == len(set(heads)), "nothing is asked for twice"
    others = [path for method, path, _ in registry.asked(since) if method == "HEAD" and path not in heads]
    assert others.count("/v2/") == 1, "one client for looking and sending"
    assert (packages.log, downloads(crate)) == ([], [])


def test_without_a_lock_the_index_is_asked_and_no_wheel_is_kept(
    tmp_path: Path, project: Path, packages: PackageIndex, first: str
) -> None:
    (project / "modelcrate.lock").unlink()
    crate = machine(tmp_path, "second")
    receipt = build(crate, project, first)
    assert set(origins(receipt).values()) == {"reused"}
    assert "/simple/tiny-lib/" in packages.log
    assert downloads(crate) == []


def test_without_reuse_everything_is_made_again_and_is_the_same(
    tmp_path: Path, project: Path, packages: PackageIndex, first: str
) -> None:
    receipt = build(machine(tmp_path, "second"), project, first, "--no-reuse")
    assert set(origins(receipt).values()) == {"built"}
    assert len(packages.downloads()) == 2
    assert receipt["outputs"][0]["bytes_sent"] == 0, "the registry has all of it"


def test_an_image_of_another_repository_is_mounted_from(
    tmp_path: Path, project: Path, packages: PackageIndex, registry: Running, first: str
) -> None:
    since, crate = len(registry.asked()), machine(tmp_path, "second")
    name = f"{registry.host}/reuse/mounted:1"
    receipt = build(crate, project, name, "--cache-from", f"registry:{first}")
    mounts = [status for method, path, status in registry.asked(since) if method == "POST" and "mount=" in path]
    assert mounts == [201] * (len(receipt["layers"]) + 1), "all layers and the config"
    assert (packages.log, downloads(crate)) == ([], [])
    assert receipt["outputs"][0]["bytes_sent"] < 20_000, "the manifest"


def test_an_empty_tag_is_no_fault_and_a_registry_that_is_gone_is_only_a_notice(
    tmp_path: Path, project: Path, registry: Running, first: str
) -> None:
    gone = f"127.0.0.1:{free_port()}/team/x:1"
    crate = machine(tmp_path, "second")
    name = f"{registry.host}/reuse/new:1"
    done = crate(
        "build", project, "--push", name, "--cache-from", f"registry:{gone}", "--progress", "lines"
    ).succeeded()
    assert name not in done.err.partition("pack")[0], "a first push is nothing to speak of"
    assert f"nothing to reuse in {gone}" in done.err


def test_a_blob_that_the_registry_has_lost_is_made_again_and_sent(tmp_path: Path, project: Path, first: str) -> None:
    """In a registry of its own, so that no other repository has it."""
    (tmp_path / "other").mkdir()
    with real_registry.running(tmp_path / "other", logs=True) as other:
        name = f"{other.host}/team/lost:1"
        layers = build(machine(tmp_path, "one"), project, name)["layers"]
        lost = next(layer for layer in layers if "tiny-lib" in layer["name"])
        repository = f"http://{name.replace('/team', '/v2/team').removesuffix(':1')}"
        asked = urllib.request.Request(f"{repository}/blobs/{lost['digest']}", method="DELETE")
        urllib.request.urlopen(asked).close()
        crate = machine(tmp_path, "second")
        plan = crate("plan", project, "--push", name, "--json", "--progress", "none").succeeded().json
        planned = {layer["name"]: layer for layer in plan["platforms"][0]["layers"]}
        assert planned[lost["name"]]["why"] == f"{name} names it, and has lost its blob"
        assert planned[lost["name"]]["bytes"]["fetch"] > len(HEAVY)
        receipt = build(crate, project, name)
        again = {layer["name"]: layer for layer in receipt["layers"]}
        assert again[lost["name"]]["origin"] == "built"
        assert again[lost["name"]]["digest"] == lost["digest"]
        assert receipt["outputs"][0]["bytes_sent"] == lost["size"]
        heads = [status for method, path, status in other.asked() if method == "HEAD" and lost["digest"] in path]
        assert 404 in heads


def test_a_key_that_lies_is_told_by_paranoid_and_the_image_is_right(
    tmp_path: Path, project: Path, registry: Running, first: str
) -> None:
    right = build(machine(tmp_path, "one"), project, first)
    name = f"{registry.host}/reuse/lying:1"
    forged = forge(find(f"registry:{first}", Connections(Config(tmp_path / "forger"))).image(), "tiny-lib")
    lying = name.removesuffix(":1") + ":kept"
    for each in (name, lying):
        parse(each).deliver(forged, Connections(Config(tmp_path / "forger")), ignore_event)
    believed = build(machine(tmp_path, "two"), project, name)
    assert believed["digest"] != right["digest"], "without paranoia the key is believed"
    crate = machine(tmp_path, "four")
    done = crate("build", project, "--push", name, "--paranoid", "--json", "--progress", "lines").succeeded()
    assert done.json["digest"] == right["digest"]
    assert f"{name}: the key of its layer dependencies tiny-lib 1.0" in done.err
    told = machine(tmp_path, "five")("verify", project, "--against", f"registry:{lying}", "--json")
    assert told.code == 5
    assert any(
        "its key is wrong" in line and "the first entry that differs is /opt" in line
        for line in told.json["mismatches"]
    )
