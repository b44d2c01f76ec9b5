"""An image that is built again and again without a change: of its provenance the newest stands beside it, and not one of each build."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from pathlib import Path

import pytest

from modelcrate.config import Config
from modelcrate.images.artifact import CREATED_ANNOTATION, ONCE_ANNOTATION, Artifact, newest
from modelcrate.security.signing import keys
from modelcrate.transports.addresses import find
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Descriptor, Digest, MediaType
from support.command import Crate
from support.real_registry import Running
from support.small_projects import write_project
from support.validator import assert_valid_found

NOTE = "dev.sigstore.bundle.predicateType"


def beside(address: str, home: Path) -> tuple[Artifact, ...]:
    found = find(address, Connections(Config(home)))
    assert_valid_found(found)
    return tuple(found.attached())


def kinds(artifacts: tuple[Artifact, ...]) -> Counter[str]:
    return Counter(each.descriptor.annotations.get(NOTE, each.tag.rpartition(".")[2]) for each in artifacts)


@pytest.mark.parametrize("output", ["registry:{host}/team/again:1", "oci:{folder}/out:1", "store:again:1"])
def test_the_newest_provenance_of_each_key_counts(output: str, docker_registry: Running, tmp_path: Path) -> None:
    project = write_project(
        tmp_path / "p", "name: again\nbase: scratch\ncommand: [x]\nmodels: [{path: m.bin, name: m, version: 1}]\n"
    )
    (project / "m.bin").write_bytes(b"weights")
    for name in ("one", "two"):
        keys.write_pair(tmp_path / name, None)
    (tmp_path / "home").mkdir()
    crate, target = Crate.at(tmp_path / "home"), output.format(host=docker_registry.host, folder=tmp_path)
    address = target.removeprefix("store:")

    def build(key: str) -> tuple[Artifact, ...]:
        crate("build", project, "-o", target, "--sign", tmp_path / f"{key}.key").succeeded()
        return beside(address, crate.home)

    first = build("one")
    time.sleep(1.1)  # its times are in seconds
    second = build("one")
    assert kinds(second) == kinds(first)
    ended = [
        max(each.descriptor.annotations.get(CREATED_ANNOTATION, "") for each in artifacts)
        for artifacts in (first, second)
    ]
    assert ended[0] < ended[1]
    both = kinds(build("two"))
    assert both["https://slsa.dev/provenance/v1"] == 2 * kinds(first)["https://slsa.dev/provenance/v1"], (
        "another key's stays"
    )
    for key in ("one", "two"):
        crate("verify", address, "--key", tmp_path / f"{key}.pub").succeeded()


@pytest.mark.parametrize("output", ["registry:{host}/team/once:1", "store:once:1"])
def test_a_key_behind_a_command_signs_nothing_twice(output: str, docker_registry: Running, tmp_path: Path) -> None:
    """OpenSSL signs equal bytes otherwise each time, as most services do: at last there were more signatures than are read."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    project = write_project(
        tmp_path / "p", "name: once\nbase: scratch\ncommand: [x]\nmodels: [{path: m.bin, name: m, version: 1}]\n"
    )
    (project / "m.bin").write_bytes(b"weights")
    private, public = keys.write_pair(tmp_path / "k", None)
    script = tmp_path / "token"
    script.write_text(f"#!/bin/sh\ncase $1 in public) cat {public};; *) openssl dgst -sha256 -sign {private};; esac\n")
    script.chmod(0o755)
    (tmp_path / "home").mkdir()
    crate, target = Crate.at(tmp_path / "home"), output.format(host=docker_registry.host)
    address, told = target.removeprefix("store:"), []
    for words in (("build", project, "-o", target, "--sign"), ("sign", address, "--key")):
        for _ in range(2):
            crate(*words, f"command:{script}").succeeded()
            made = beside(address, crate.home)
            told.append((len(made), sum(len(each.layers) for each in made)))
    assert len(set(told)) == 1
    crate("verify", address, "--key", public).succeeded()


def entry(content: bytes, once: str | None = None, created: str | None = None) -> Descriptor:
    notes = {ONCE_ANNOTATION: once, CREATED_ANNOTATION: created}
    annotations = {name: value for name, value in notes.items() if value is not None}
    return Descriptor(MediaType.MANIFEST, Digest.of(content), len(content), annotations)


def test_of_equal_values_the_newest_counts_and_nothing_else_is_touched() -> None:
    others = [entry(b"a"), entry(b"b", created="2030-01-01T00:00:00Z")]
    old, new = entry(b"1", "p k", "2026-01-01T00:00:00Z"), entry(b"2", "p k", "2026-01-02T00:00:00Z")
    assert newest([old, *others, new]) == [*others, new]
    assert newest([new, *others, old]) == [new, *others]
    assert newest([entry(b"1", "p k"), new]) == [new]
    assert newest([old, entry(b"3", "p other", "2020-01-01T00:00:00Z")]) == [
        old,
        entry(b"3", "p other", "2020-01-01T00:00:00Z"),
    ]
    mine = entry(b"signature")
    assert newest([mine, entry(b"x", str(mine.digest), "9999")]) == [mine, entry(b"x", str(mine.digest), "9999")]
