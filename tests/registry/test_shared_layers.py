"""Projects that share layers by a signed list: a fresh machine takes what another project has pushed. Judged by the real registry, a relay
that counts bytes, and the package index's log."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import modelcrate
from modelcrate.config import Config
from modelcrate.events import ignore_event
from modelcrate.images.artifact import EMPTY, make_document
from modelcrate.images.layer_list import LayerList, ListedImage, place_of
from modelcrate.images.reference import Reference
from modelcrate.pipeline import shared_layers
from modelcrate.security.signing import keys, statements
from modelcrate.security.signing.keys import Signer
from modelcrate.security.signing.layer_lists import KIND, MAX_LIST, PREDICATE, read_list
from modelcrate.transports.addresses import find
from modelcrate.transports.connections import Connections
from modelcrate.transports.registry import parse
from modelcrate_layers.content import Digest, Literal, Platform
from modelcrate_layers.errors import CrateError
from support import index as indexes
from support.command import Crate
from support.forged import forge
from support.images import noise
from support.index import PackageIndex
from support.real_registry import Running
from support.relay import Relay
from support.small_projects import SCRIPT, write_project
from support.validator import assert_valid_found
from support.wheels import filename, wheel_bytes

HEAVY = ("big-a", "big-b", "big-c")
SIZE = 12 << 20
"""Bytes of a heavy wheel: one of them is more than a build may receive that takes all of them over."""

MAX_RECEIVED, MAX_SENT = 10_000_000, 100_000


@pytest.fixture(scope="module")
def packages() -> Iterator[PackageIndex]:
    """Three heavy wheels that own one file together, and light ones, of which one owns a file of a heavy one."""
    wheels = {filename("gunicorn", "23.0"): wheel_bytes("gunicorn", "23.0")}
    for number, name in enumerate(HEAVY):
        inside = {f"{name[-1]}/heavy.bin": noise(SIZE, number), "vendor/__init__.py": b"# of all of them\n"}
        wheels[filename(name, "1.0")] = wheel_bytes(name, "1.0", inside)
    for name in ("light-one", "light-two"):
        wheels[filename(name, "1.0")] = wheel_bytes(name, "1.0", {f"{name[6:]}.py": b"answer = 42\n"})
    wheels[filename("equal", "1.0")] = wheel_bytes("equal", "1.0", {"vendor/__init__.py": b"# of all of them\n"})
    wheels[filename("clash", "1.0")] = wheel_bytes("clash", "1.0", {"vendor/__init__.py": b"# another\n"})
    with indexes.serve(PackageIndex(wheels, metadata=True)) as running:
        yield running


@dataclass(frozen=True)
class Team:
    """Projects, machines and the key of one team, whose builds share layers."""

    top: Path
    registry: Running
    packages: PackageIndex
    key: str
    signer: Signer
    locks: dict[tuple[str, ...], bytes]

    def machine(self, name: str) -> Crate:
        """A machine on which modelcrate never ran."""
        (self.top / name).mkdir(parents=True)
        return Crate.at(self.top / name)

    def project(self, name: str, *requirements: str, cut: str = "") -> Path:
        """A locked project."""
        folder = write_project(
            self.top / f"project-{name}",
            f"""\
            name: {name}
            python: "3.11"
            base: {{from: scratch, interpreter: /usr/bin/python3.11}}
            dependencies: {{requirements: [{", ".join(requirements)}], index-url: {self.packages.url}{cut}}}
            entry: {{source: src, script: score.py}}
            """,
        )
        (folder / "src").mkdir()
        (folder / "src" / "score.py").write_text(f"{SCRIPT}\nNAME = {name!r}\n")
        lock = folder / "modelcrate.lock"
        if requirements not in self.locks:  # projects that ask for the same have the same lock
            crate = self.machine(f"locks-{name}")
            crate("lock", folder).succeeded()
            self.locks[requirements] = lock.read_bytes()
        lock.write_bytes(self.locks[requirements])
        self.packages.got.clear()
        return folder

    def build(self, crate: Crate, project: Path, name: str, *words: str, host: str = "") -> dict[str, Any]:
        host = host or self.registry.host
        shared = words or ("--share-layers", f"{host}/{self.top.name}/list", "--sign", self.key)
        done = crate(
            "build", project, "--push", f"{host}/{self.top.name}/{name}", "--json", "--progress", "lines", *shared
        )
        return {**done.succeeded().json, "said": done.err}

    def order(self, home: str, project: Path, name: str) -> dict[str, Any]:
        """The receipt of the same build by the library, in this process."""
        where = f"{self.registry.host}/{self.top.name}"
        order = modelcrate.Order(project, push=(f"{where}/{name}",), share_layers=f"{where}/list", sign=self.key)
        with ThreadPoolExecutor(1) as pool:
            (outcome,) = modelcrate.build_all([order], pool, Config(self.top / home, {"PATH": os.environ["PATH"]}))
        assert outcome.receipt is not None, outcome.fault
        return outcome.receipt

    @property
    def place(self) -> Reference:
        return place_of(f"{self.registry.host}/{self.top.name}/list")

    def listed(self) -> LayerList:
        return read_list(self.place, [self.signer.public], self.connections())

    def connections(self) -> Connections:
        return Connections(Config(self.top / "reader"))


@pytest.fixture(scope="module")
def locks() -> dict[tuple[str, ...], bytes]:
    return {}


@pytest.fixture(scope="module")
def first(
    tmp_path_factory: pytest.TempPathFactory,
    registry: Running,
    packages: PackageIndex,
    locks: dict[tuple[str, ...], bytes],
) -> Team:
    """A team whose first project was pushed from a machine that is gone."""
    team = teamed(tmp_path_factory.mktemp("team"), registry, packages, locks)
    crate = team.machine("first")
    team.build(crate, team.project("one", *HEAVY, "light-one"), "one:1")
    shutil.rmtree(crate.home)
    return team


def teamed(top: Path, registry: Running, packages: PackageIndex, locks: dict[tuple[str, ...], bytes]) -> Team:
    private, _ = keys.write_pair(top / "key", None)
    return Team(top, registry, packages, str(private), keys.load_signer(str(private), None), locks)


def origins(receipt: dict[str, Any]) -> dict[str, str]:
    return {layer["name"]: layer["origin"] for layer in receipt["layers"] if layer["role"] == "dependencies"}


def test_another_project_takes_what_the_first_has_pushed(first: Team) -> None:
    """Its own light wheel makes another layer of the light ones; no heavy wheel is fetched, or made, or sent."""
    project = first.project("two", *HEAVY, "light-two")
    with closing(Relay(first.registry.host)) as relay:
        receipt = first.build(first.machine("second"), project, "two:1", host=relay.host)
        relay.settle()
    assert sorted(first.packages.fetched()) == [filename("gunicorn", "23.0"), filename("light-two", "1.0")]
    assert {name: origin for name, origin in origins(receipt).items() if "big" in name} == {
        f"{name} 1.0": "reused" for name in HEAVY
    }
    assert relay.returned < MAX_RECEIVED
    assert relay.received < MAX_SENT
    alone = first.build(first.machine("alone"), project, "two-alone:1", "--no-reuse")
    assert alone["digest"] == receipt["digest"], "the list moves no digest"
    assert_valid_found(find(f"registry:{first.registry.host}/{first.top.name}/two:1", first.connections()))
    images = [(each.repository.rpartition("/")[2], len(each.layers)) for each in first.listed().images]
    assert [name for name, _ in images] == ["one", "two"], "what it had to make is listed now"


def test_a_project_with_the_same_packages_adds_nothing(first: Team) -> None:
    before = find(f"registry:{first.place}", first.connections()).descriptor.digest
    project = first.project("three", *HEAVY, "light-one")
    with closing(Relay(first.registry.host)) as relay:
        receipt = first.build(first.machine("third"), project, "three:1", host=relay.host)
        relay.settle()
    assert first.packages.fetched() == []
    assert set(origins(receipt).values()) == {"reused"}
    assert relay.returned < MAX_RECEIVED
    assert relay.received < MAX_SENT
    assert find(f"registry:{first.place}", first.connections()).descriptor.digest == before


def test_light_packages_are_taken_one_by_one_where_each_has_a_layer(first: Team) -> None:
    """No other project has this set of light packages; each of them is in one."""
    cut = ", layers: 60"
    first.build(first.machine("each"), first.project("each-one", "big-a", "light-one", cut=cut), "each-one:1")
    first.build(first.machine("each-2"), first.project("each-two", "light-two", cut=cut), "each-two:1")
    project = first.project("each-three", "big-a", "light-one", "light-two", cut=cut)
    with closing(Relay(first.registry.host)) as relay:
        receipt = first.build(first.machine("each-3"), project, "each-three:1", host=relay.host)
        relay.settle()
    assert first.packages.fetched() == []
    assert set(origins(receipt).values()) == {"reused"}
    assert len(origins(receipt)) == 5, "the environment, and each of four wheels"
    assert relay.returned < MAX_RECEIVED
    assert relay.received < MAX_SENT
    assert_valid_found(find(f"registry:{first.registry.host}/{first.top.name}/each-three:1", first.connections()))


def test_equal_files_are_no_conflict_and_others_are_found(first: Team) -> None:
    """The paths alone don't decide it, so the packages are fetched after all."""
    project = first.project("equal", "big-a", "equal")
    first.build(first.machine("equal"), project, "equal:1")
    assert filename("big-a", "1.0") in first.packages.fetched()
    project = first.project("clash", "big-a", "clash")
    words = ("--share-layers", str(first.place), "--sign", first.key, "--json", "--progress", "none")
    where = f"{first.registry.host}/{first.top.name}/clash:1"
    first.machine("clash")("build", project, "--push", where, *words).failed(2, "big-a", "clash", "vendor/__init__.py")


def test_a_policy_names_the_keys_and_without_a_key_nothing_is_written(first: Team, tmp_path: Path) -> None:
    policy, public = tmp_path / "policy.yaml", first.key.replace(".key", ".pub")
    policy.write_text(f"rules:\n  - images: ['{first.place.name}']\n    keys: ['{public}']\n")
    before, project = first.listed(), first.project("reader", "big-b", "light-two")
    words = ("--share-layers", first.place.name, "--policy", str(policy))
    receipt = first.build(first.machine("reader"), project, "reader:1", *words)
    assert origins(receipt)["big-b 1.0"] == "reused"
    assert first.listed() == before
    policy.write_text("rules:\n  - images: ['*']\n    refuse: true\n")
    done = first.machine("refused")("build", project, *words, "-o", f"oci:{tmp_path / 'out'}")
    done.failed(5, "the policy refuses", first.place.name)


def test_a_list_counts_by_a_key_only(first: Team, tmp_path: Path) -> None:
    project = first.project("keyless", "light-one")
    done = first.machine("keyless")("build", project, "--share-layers", first.place.name, "-o", f"oci:{tmp_path / 'o'}")
    done.failed(2, "no key was named", "--sign KEY")
    wrong = f"{first.place.name}@sha256:{64 * 'a'}"
    done = first.machine("digest")("build", project, "--share-layers", wrong, "--sign", first.key)
    done.failed(2, "has no digest")


@pytest.fixture
def small(tmp_path: Path, registry: Running, packages: PackageIndex, locks: dict[tuple[str, ...], bytes]) -> Team:
    """A team of its own with one small image in its list, so that a test may spoil the list."""
    team = teamed(tmp_path, registry, packages, locks)
    team.build(team.machine("first"), team.project("one", "light-one"), "one:1")
    return team


def put(
    team: Team, value: object, signer: Signer | None, place: Reference | None = None, kind: str = PREDICATE
) -> None:
    """Puts a list into the registry, as who may write there could."""
    said = statements.statement(Digest.of((place or team.place).repository.encode()), kind, value)  # type: ignore[arg-type]
    bundle = Literal(statements.bundle(said, signer) if signer else said, statements.BUNDLE)
    data = make_document(KIND, EMPTY.descriptor, (bundle.descriptor,), {}).data
    put_manifest(team, data, bundle)


def put_manifest(team: Team, data: bytes, *blobs: Literal) -> None:
    client = team.connections().registries
    client.push_blobs(team.place, [EMPTY, *blobs])
    client.put_manifest(team.place, data, "application/vnd.oci.image.manifest.v1+json")


def stranger(team: Team) -> Signer:
    return keys.load_signer(str(keys.write_pair(team.top / "stranger", None)[0]), None)


def not_json(team: Team) -> None:
    bundle = Literal(b"{" * 5000, statements.BUNDLE)
    put_manifest(team, make_document(KIND, EMPTY.descriptor, (bundle.descriptor,), {}).data, bundle)


def huge(team: Team) -> None:
    bundle = Literal(b" " * (MAX_LIST + 1), statements.BUNDLE)
    put_manifest(team, make_document(KIND, EMPTY.descriptor, (bundle.descriptor,), {}).data, bundle)


def an_image(team: Team) -> None:
    found = find(f"registry:{team.registry.host}/{team.top.name}/one:1", team.connections())
    modelcrate.find(str(found.collection.where), settings=Config(team.top / "copier")).push(str(team.place))


HOSTILE: dict[str, tuple[Callable[[Team], None], str]] = {
    "unsigned": (lambda team: put(team, team.listed().json(), None), "envelope|type"),
    "by another key": (lambda team: put(team, team.listed().json(), stranger(team)), "none of the keys that count"),
    "of another repository": (
        lambda team: put(team, team.listed().json(), team.signer, place_of(f"{team.registry.host}/other/list")),
        "no list of this repository",
    ),
    "something else that was signed": (
        lambda team: put(team, team.listed().json(), team.signer, kind=statements.SPDX),
        "no list of this repository",
    ),
    "no list": (lambda team: put(team, {"layers": 7, "images": []}, team.signer), "not a list of layers"),
    "a place that is not listed": (
        lambda team: put(team, {**team.listed().json(), "layers": []}, team.signer),
        "not a list of layers",
    ),
    "not JSON": (not_json, "JSON"),
    "huge": (huge, "the limit here is"),
    "an image": (an_image, "no list of layers"),
}


def test_a_list_that_does_not_count_is_told_and_left_alone(small: Team) -> None:
    HOSTILE["by another key"][0](small)
    before = find(f"registry:{small.place}", small.connections()).descriptor.digest
    receipt = small.build(small.machine("second"), small.project("two", "light-one"), "two:1")
    assert set(origins(receipt).values()) == {"built"}
    assert f"the list of layers {small.place} is not used: none of the keys that count" in receipt["said"]
    assert f"nothing was added to the list of layers {small.place}: none of the keys" in receipt["said"]
    assert find(f"registry:{small.place}", small.connections()).descriptor.digest == before


def test_what_is_no_list_by_a_key_that_counts_is_refused(small: Team) -> None:
    right = small.listed()
    for spoil, words in HOSTILE.values():
        put(small, right.json(), small.signer)
        assert small.listed() == right
        spoil(small)
        with pytest.raises(CrateError, match=words):
            small.listed()


def test_what_a_list_says_of_an_image_has_to_be_so(small: Team) -> None:
    """Signed lies: an image of another platform, one that is not there, one without the layer, no image. None gives another image."""
    (image,) = small.listed().images
    other = replace(image, platform=Platform("linux", "arm64"))
    lost = replace(image, digest=Digest.of(b"nothing"))
    project = small.project("lied-to", "light-one")
    right = small.build(small.machine("alone"), project, "alone:1", "--no-reuse")
    without = small.build(small.machine("two"), small.project("two", "light-two"), "one:2", "--no-reuse")
    unlike = replace(image, digest=Digest.parse(without["digest"]))
    listed = find(f"registry:{small.place}", small.connections()).descriptor.digest
    document = replace(image, repository=small.place.repository, digest=listed)
    for number, lie in enumerate((other, lost, unlike, document)):
        put(small, LayerList((lie,)).json(), small.signer)
        receipt = small.order(f"lied-to-{number}", project, f"lied-to:{number}")
        assert receipt["digest"] == right["digest"]
        assert next(origin for name, origin in origins(receipt).items() if "gunicorn" in name) == "built"


def test_an_image_of_another_platform_under_this_one_is_refused(small: Team) -> None:
    (image,) = small.listed().images
    arm = ListedImage(image.repository, image.digest, Platform("linux", "arm64"), image.layers)
    put(small, LayerList((arm,)).json(), small.signer)
    project = small.project("arm", "light-one")
    text = (project / "modelcrate.yaml").read_text()
    (project / "modelcrate.yaml").write_text(f"{text}platforms: [linux/arm64]\n")
    (project / "modelcrate.lock").unlink()
    receipt = small.build(small.machine("arm"), project, "arm:1")
    assert "nothing to reuse in" in receipt["said"]
    assert set(origins(receipt).values()) == {"built"}


def test_only_layers_that_the_signer_knows_are_listed(small: Team) -> None:
    """Who may write to a project's repository can't have a lie about a key signed: what was taken from its own tag is not listed."""
    project = small.project("poisoned", "light-two")
    name = f"{small.registry.host}/{small.top.name}/poisoned:1"
    small.build(small.machine("honest"), project, "honest:1", "--no-reuse")
    made = find(f"registry:{small.registry.host}/{small.top.name}/honest:1", small.connections()).image()
    parse(name).deliver(forge(made, "gunicorn"), small.connections(), ignore_event)
    before = small.listed()
    receipt = small.build(small.machine("victim"), project, "poisoned:1")
    assert "reused" in origins(receipt).values(), "a key of the tag that is pushed to is believed, as ever"
    assert small.listed() == before


def test_a_forged_layer_is_not_listed_because_the_list_has_its_key_too(first: Team) -> None:
    """The list is asked for another layer, and its image has the key of the forged one as well."""
    where = f"{first.registry.host}/{first.top.name}"
    first.build(first.machine("was"), first.project("was", "big-a"), "was:1", "--no-reuse")
    forged = forge(find(f"registry:{where}/was:1", first.connections()).image(), "big-a")
    parse(f"{where}/grown:1").deliver(forged, first.connections(), ignore_event)
    receipt = first.build(first.machine("grown"), first.project("grown", "big-a", "big-b"), "grown:1")
    assert origins(receipt)["big-b 1.0"] == "reused", "by the list"
    (taken,) = {each["key"] for each in receipt["layers"] if each["name"] == "big-a 1.0"}
    names = {each.repository.rpartition("/")[2] for each in first.listed().images if Digest.parse(taken) in each.layers}
    assert names
    assert "grown" not in names


def test_an_image_that_is_gone_is_taken_out(small: Team) -> None:
    (image,) = small.listed().images
    client = small.connections().registries
    client.delete(Reference(small.registry.host, image.repository, digest=image.digest))
    receipt = small.build(small.machine("second"), small.project("two", "light-one"), "two:1")
    assert set(origins(receipt).values()) == {"built"}
    assert [each.repository.rpartition("/")[2] for each in small.listed().images] == ["two"]


def test_what_another_writes_at_the_same_time_stays(small: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another machine reads the list before this one writes it, and writes it afterwards."""
    others, write, times = small.listed(), shared_layers.write_list, iter(range(1))

    def interrupted(*args: Any) -> None:
        write(*args)
        for _ in times:
            put(small, others.json(), small.signer)

    monkeypatch.setattr(shared_layers, "write_list", interrupted)
    small.order("second", small.project("two", "light-two"), "two:1")
    assert [each.repository.rpartition("/")[2] for each in small.listed().images] == ["one", "two"]
