"""Images of a registry onto a newer base: one by name, and all that fit a pattern; nothing but manifests and configs is sent."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modelcrate.config import Config
from modelcrate.inspect.golden_requests import read_artifacts
from modelcrate.transports.addresses import find
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Literal
from support import real_registry
from support.demo import shell_rootfs
from support.images_by_hand import write_layout
from support.rootfs import layer, member
from support.shared_command import Modelcrate
from support.small_projects import write_project
from support.validator import assert_valid_layout
from support.waiting import HANG

COUNT = 12
"""Images on the old base."""

WITH_BILLS = 2
"""How many of them have bills of materials beside them, as each push makes them."""


@dataclass(frozen=True)
class Fleet:
    folder: Path
    crate: Modelcrate
    registry: real_registry.Running

    @property
    def host(self) -> str:
        return self.registry.host

    def base(self, version: str) -> str:
        return f"{self.host}/base/os:{version}"

    def manifest(self, reference: str) -> Any:
        return json.loads(self.crate.said("inspect", "--json", reference))


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    if reason := real_registry.missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("fleet")
    crate = Modelcrate(folder / "home")
    with real_registry.running(folder / "registry", logs=True) as registry:
        made = Fleet(folder, crate, registry)
        for version in ("3.0", "3.1"):
            layers = [shell_rootfs(), layer(member("etc/version", version.encode()))]
            crate.said("copy", _base(folder / version, layers, version), f"registry:{made.base(version)}")
        for number in range(COUNT):
            project = write_project(
                folder / f"p{number}",
                f"name: n{number}\nbase: {made.base('3.0')}\nmodels: [model.txt]\nenv: {{MINE: '{number}'}}\n",
            )
            (project / "model.txt").write_text(f"model {number}\n")
            bills = [] if number < WITH_BILLS else ["--no-sbom"]
            crate.said("build", project, "--push", f"{made.host}/team/n{number}:1", *bills)
        other = write_project(folder / "other", "name: other\nbase: scratch\nmodels: [model.txt]\n")
        (other / "model.txt").write_text("on no base\n")
        crate.said("build", other, "--push", f"{made.host}/team/other:1")
        yield made


def _base(folder: Path, layers: list[Literal], version: str) -> str:
    return write_layout(folder, layers, {"Env": ["PATH=/usr/bin:/bin", f"RELEASE={version}"]})


def test_one_by_its_name(fleet: Fleet) -> None:
    before = fleet.manifest(f"{fleet.host}/team/n0:1")
    checked = fleet.crate.json("rebase", f"{fleet.host}/team/n0:1", "--onto", fleet.base("3.1"), "--check")
    assert fleet.manifest(f"{fleet.host}/team/n0:1") == before, "--check writes nothing"
    entries = len(fleet.registry.asked())
    done = fleet.crate.json("rebase", f"{fleet.host}/team/n0:1", "--onto", fleet.base("3.1"))
    assert done["digest"] == checked["digest"]
    assert done["sent"] < 20_000, "a config, a manifest and bills of materials"
    sent = [
        path for method, path, _ in fleet.registry.asked(entries) if method in ("PATCH", "PUT") and "/blobs/" in path
    ]
    assert len(sent) <= 4, "the config, two bills of materials and what the layers hold, each in one upload"
    said = fleet.crate.said(
        "run", "--rm", "-w", "/", f"{fleet.host}/team/n0:1", "sh", "-c", "cat /etc/version; echo $RELEASE $MINE"
    )
    assert said == "3.13.1 0\n"
    fleet.crate.said("copy", f"registry:{fleet.host}/team/n0:1", f"oci:{fleet.folder / 'layout'}:1")
    assert_valid_layout(fleet.folder / "layout")


def test_all_that_fit(fleet: Fleet) -> None:
    """A request for each thing that only the image has, a mount for what the base has, and nothing read twice."""
    entries = len(fleet.registry.asked())
    done = fleet.crate.json("rebase", f"{fleet.host}/team/*", "--onto", fleet.base("3.1"), "--all")
    names = {each["image"] for each in done}
    assert names >= {f"{fleet.host}/team/n{number}:1" for number in range(1, COUNT)}
    asked = [(method, path) for method, path, _ in fleet.registry.asked(entries)]
    own = [each for each in asked if "/team/n" in each[1]]
    # the tags, the manifest, its config, what is beside it, a mount, the new config in two, the manifest; and the only layer, once. Some ask for the
    # base's layer before the first mount has told that the registry mounts. Bills: the contents of layers in two, three documents in three each,
    # and the list of them in three where the registry has no API for that
    assert len(own) <= 9 * COUNT + COUNT + 15 * WITH_BILLS
    assert len(asked) - len(own) <= 30, "the bases, once for all, and the image on no base"
    digests = [path for method, path in asked if method == "GET" and "/blobs/" in path]
    assert len(digests) == len(set(digests)), "no blob is fetched twice"
    assert f"{fleet.host}/team/other:1" not in names, "it is on no earlier base of that name"
    assert all(each["result"].startswith("sha256:") for each in done)
    assert fleet.crate.json("rebase", f"{fleet.host}/team/*", "--onto", fleet.base("3.1"), "--all") == []


def test_what_is_beside_the_new_image_is_about_it(fleet: Fleet) -> None:
    """Golden requests are taken over, bills are made anew, and a signature is made where a key is given."""
    project = write_project(
        fleet.folder / "tested",
        f"name: tested\nbase: {fleet.base('3.0')}\nmodels: [model.txt]\ntests: [{{request: '[1]', expect: '[1]'}}]\n",
    )
    (project / "model.txt").write_text("tested\n")
    name = f"{fleet.host}/others/tested:1"
    fleet.crate.said("build", project, "--push", name)
    fleet.crate.said("keygen", fleet.folder / "key")
    old = fleet.crate.said("digest", name).strip()
    words = ("--onto", fleet.base("3.1"), "--sign", fleet.folder / "key.key")
    refused = fleet.crate.run("rebase", name, *words)
    assert refused.returncode == 5
    assert "not signed again" in refused.stderr
    every = fleet.crate.run("rebase", f"{fleet.host}/others/*", *words, "--all")
    assert every.returncode == 5
    assert "not signed again" in every.stdout
    assert fleet.crate.said("digest", name).strip() == old, "what nobody signed is not signed by a change"
    fleet.crate.said("sign", name, "--key", fleet.folder / "key.key")
    other = f"{fleet.host}/others/unsigned:1"
    fleet.crate.json("rebase", name, *words[:2], "-o", f"registry:{other}")
    unsigned = fleet.crate.run("verify", other, "--key", fleet.folder / "key.pub")
    assert unsigned.returncode == 5, "no signature is carried over"
    fleet.crate.json("rebase", name, *words)
    new = fleet.crate.said("digest", name).strip()
    assert new != old
    proven = fleet.crate.json("verify", name, "--key", fleet.folder / "key.pub")
    assert proven["digest"] == new
    kinds = {each["predicateType"] for each in proven["proven"]}
    assert {"https://spdx.dev/Document", "https://cyclonedx.org/bom"} <= kinds
    with Connections(Config(fleet.folder / "looking")) as connections:
        found = find(name, connections)
        (test,) = read_artifacts(found, found.image())
        assert test.body == "[1]"
    done = fleet.crate.json("rebase", name, "--onto", fleet.base("3.0"), "--no-sbom")
    assert done["digest"] == fleet.crate.said("digest", name).strip()


def test_what_does_not_fit(fleet: Fleet) -> None:
    done = fleet.crate.run("rebase", f"{fleet.host}/nobody/*", "--onto", fleet.base("3.1"), "--all")
    assert done.returncode == 2
    assert "no repository of" in done.stderr
    done = fleet.crate.run("rebase", f"{fleet.host}/nosuch", "--onto", fleet.base("3.1"), "--all")
    assert (done.returncode, "no repository of" in done.stderr) == (2, True)
    done = fleet.crate.run("rebase", f"oci:{fleet.folder / '3.0'}:1", "--onto", fleet.base("3.1"))
    assert done.returncode == 2
    assert "name an output" in done.stderr


def test_the_library_does_the_same(fleet: Fleet) -> None:
    words = f"modelcrate.rebase('{fleet.host}/team/n1:1', '{fleet.base('3.1')}', output='store:copy:1').digest"
    done = subprocess.run(
        [sys.executable, "-c", f"import modelcrate; print({words})"],
        env=fleet.crate.environment,
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    assert done.returncode == 0, done.stderr
    assert (
        done.stdout.strip()
        == fleet.crate.json("rebase", f"{fleet.host}/team/n1:1", "--onto", fleet.base("3.1"), "--check")["digest"]
    )


def test_bills_for_all_on_a_machine_that_knows_nothing(fleet: Fleet) -> None:
    """Each layer is read for its Python, its libraries and its packages, and by no two threads at a time; what all have is not read for each."""
    entries = len(fleet.registry.asked())
    fresh = Modelcrate(fleet.folder / "fresh")
    done = fresh.json("rebase", f"{fleet.host}/team/*", "--onto", fleet.base("3.0"), "--all", "--sbom")
    assert len(done) == COUNT
    assert all(each["result"].startswith("sha256:") for each in done)
    fetched = Counter(
        path for method, path, _ in fleet.registry.asked(entries) if method == "GET" and "/blobs/" in path
    )
    assert max(fetched.values()) <= 3
    assert len(fetched) <= 3 * COUNT + 8, "config, layer and contents of each image; configs and layers of the bases"
