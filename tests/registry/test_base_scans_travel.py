"""A machine that has nothing builds on a base that it need not fetch: what others found in its layers stands beside the image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from modelcrate.config import Config
from modelcrate.events import ignore_event
from modelcrate.images.image import assemble
from modelcrate.images.image_config import RunSpec
from modelcrate.resolve.lock import read_lock
from modelcrate.security.sbom.contents_artifact import read_contents
from modelcrate.security.signing import keys
from modelcrate.transports import parse
from modelcrate.transports.addresses import find
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Platform
from support import real_registry
from support.command import Crate
from support.foreign_bases import GLIBC, image_layer, program
from support.real_registry import Running
from support.rootfs import layer, member
from support.small_projects import SCRIPT, wait_until_trusted, write_project
from support.validator import assert_valid_found
from support.wheels import make_wheel

SYSTEM = layer(
    member("usr/bin/python3.11", program(), mode=0o755),
    member("usr/include/python3.11/patchlevel.h", b'#define PY_VERSION "3.11.9"\n'),
    member("usr/lib/x86_64-linux-gnu/libc.so.6", GLIBC),
    member("srv/data", Random(1).randbytes(100_000)),
)
BASE = image_layer(SYSTEM)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Running]:
    if why := real_registry.missing():
        pytest.skip(why)
    with real_registry.running(tmp_path / "registry", logs=True) as running:
        yield running


@pytest.fixture
def project(tmp_path: Path, registry: Running) -> Path:
    base = assemble(Platform("linux", "amd64"), {}, [BASE], RunSpec())
    parse(f"registry:{registry.host}/base:1").deliver(base, Connections(Config(tmp_path / "push")), ignore_event)
    folder = write_project(
        tmp_path / "project",
        f"""\
        name: told
        base: "{registry.host}/base:1"
        dependencies: {{requirements: [], wheelhouse: wheels}}
        entry: {{source: src, script: score.py}}
        """,
    )
    make_wheel(folder / "wheels", "gunicorn", "23.0")
    (folder / "src").mkdir()
    (folder / "src" / "score.py").write_text(SCRIPT)
    return folder


def fetches(registry: Running, since: int) -> int:
    """How often the base's layer was fetched."""
    blob = f"/blobs/{BASE.descriptor.digest}"
    return sum(method == "GET" and path.endswith(blob) for method, path, _ in registry.asked(since))


def machine(home: Path) -> Crate:
    """A machine that has what this folder has: at first nothing."""
    home.mkdir(exist_ok=True)
    return Crate.at(home)


def push(project: Path, registry: Running, home: Path, *options: str) -> tuple[str, int]:
    """Builds on a machine, and returns the digest and how often the base was fetched."""
    since = len(registry.asked())
    words = ("--push", f"{registry.host}/told:1", "--json", "--progress", "none", *options)
    built = machine(home)("build", project, *words).succeeded()
    return built.json["digest"], fetches(registry, since)


def test_a_fresh_machine_does_not_fetch_it(project: Path, registry: Running, tmp_path: Path) -> None:
    digest, fetched = push(project, registry, tmp_path / "one")
    assert fetched == 1
    (project / "src" / "score.py").write_text(f"{SCRIPT}\n# edited\n")
    edited, fetched = push(project, registry, tmp_path / "two")
    assert fetched == 0, "what the first machine found is beside the image"
    assert edited != digest
    assert push(project, registry, tmp_path / "three", "--no-reuse") == (edited, 1), "and it makes no difference"
    (project / "src" / "score.py").write_text(f"{SCRIPT}\n# again\n")
    assert push(project, registry, tmp_path / "two")[1] == 0, "what was received is remembered"
    (project / "src" / "score.py").write_text(f"{SCRIPT}\n# and again\n")
    assert push(project, registry, tmp_path / "four")[1] == 0, "and told to the next"
    assert_valid_found(find(f"registry:{registry.host}/told:1", Connections(Config(tmp_path / "look"))))


def test_a_lock_and_whoever_believes_nothing_look_for_themselves(
    project: Path, registry: Running, tmp_path: Path
) -> None:
    push(project, registry, tmp_path / "one")
    assert push(project, registry, tmp_path / "two", "--paranoid")[1] == 1
    since = len(registry.asked())
    machine(tmp_path / "three")("lock", project).succeeded()
    assert fetches(registry, since) == 1
    assert read_lock(project / "modelcrate.lock") is not None


def test_a_build_that_signs_believes_its_own_key(project: Path, registry: Running, tmp_path: Path) -> None:
    key = str(keys.write_pair(tmp_path / "key", None)[0])
    push(project, registry, tmp_path / "one")
    (project / "src" / "score.py").write_text(f"{SCRIPT}\n# edited\n")
    assert push(project, registry, tmp_path / "two", "--sign", key)[1] > 0, "nobody has signed what is there"
    (project / "src" / "score.py").write_text(f"{SCRIPT}\n# again\n")
    assert push(project, registry, tmp_path / "three", "--sign", key)[1] == 0


def test_a_build_again_fetches_no_document_that_this_machine_has_read(
    project: Path, registry: Running, tmp_path: Path
) -> None:
    """Registries count how often a manifest is fetched, and each question takes the way there and back."""
    push(project, registry, tmp_path / "one")
    since = len(registry.asked())
    push(project, registry, tmp_path / "one")
    read = [path for method, path, _ in registry.asked(since) if method != "HEAD"]
    assert ["/referrers/sha256:" in read[0], "/manifests/sha256-" in read[1], len(read)] == [True, True, 2]


def test_a_build_of_another_script_fetches_nothing_of_the_image_that_this_machine_has_pushed(
    project: Path, registry: Running, tmp_path: Path
) -> None:
    push(project, registry, tmp_path / "one")
    (project / "src" / "score.py").write_text(f"{SCRIPT}\n# edited\n")
    since = len(registry.asked())
    edited, _ = push(project, registry, tmp_path / "one")
    read = [path for method, path, _ in registry.asked(since) if method == "GET"]
    beside_the_new = (edited, edited.replace(":", "-"))
    assert [path for path in read if not path.endswith(beside_the_new)] == []


def test_what_another_machine_said_beside_an_image_that_both_have_made_is_read(
    project: Path, registry: Running, tmp_path: Path
) -> None:
    """The second machine did not ask, says nothing of the base, and does not take its own silence for that of the registry."""
    digest, _ = push(project, registry, tmp_path / "one", "--sbom")
    assert push(project, registry, tmp_path / "two", "--no-reuse") == (digest, 1)
    (project / "src" / "score.py").write_text(f"{SCRIPT}\n# edited\n")
    push(project, registry, tmp_path / "two")
    found = find(f"registry:{registry.host}/told:1", Connections(Config(tmp_path / "look")))
    assert BASE.layer.diff_id in read_contents(found, found.image(), None).contents


def test_a_document_that_was_damaged_on_the_disk_is_fetched_anew(
    project: Path, registry: Running, tmp_path: Path
) -> None:
    digest, _ = push(project, registry, tmp_path / "one")
    kept = list((tmp_path / "one").rglob("documents/*"))
    assert kept
    for each in kept:
        each.write_bytes(each.read_bytes()[:-1] + b"}")
    assert push(project, registry, tmp_path / "one") == (digest, 0)
    assert_valid_found(find(f"registry:{registry.host}/told:1", Connections(Config(tmp_path / "look"))))


def test_a_fresh_machine_looks_into_no_wheel_whose_layer_is_there(
    project: Path, registry: Running, tmp_path: Path
) -> None:
    def looked(home: Path) -> bool:
        return any(home.rglob("good-wheels"))

    wait_until_trusted(project / "wheels")
    digest, _ = push(project, registry, tmp_path / "one")
    assert looked(tmp_path / "one")
    assert push(project, registry, tmp_path / "two")[0] == digest
    assert not looked(tmp_path / "two")
    machine(tmp_path / "two")("plan", project).succeeded()
    assert looked(tmp_path / "two"), "a plan, as a lock, says whether a build would take them"
    (wheel,) = (project / "wheels").iterdir()
    wheel.write_bytes(wheel.read_bytes().replace(b".dist-info/RECORD", b".dist-info/RECARD"))
    for verb in ("build", "plan", "lock"):
        machine(tmp_path / "three")(verb, project).failed(5, "gunicorn", "has no", "put it in the place of this one")
