"""One build for all who ask: every caller gives the same image, puts the same artifacts beside it, and sends the same requests and bytes."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest

import modelcrate
from modelcrate.azureml import CondaDependencies, Environment, InferenceConfig, Model, Workspace
from modelcrate.cli import parser
from modelcrate.config import Config
from modelcrate.home.home_lock import exclusive_home_lock
from modelcrate.images.layer_list import place_of
from modelcrate.images.reference import Reference
from modelcrate.pipeline.session import Session
from modelcrate.security.signing.keys import load_public, write_pair
from modelcrate.security.signing.layer_lists import read_list
from modelcrate.transports.addresses import find
from modelcrate.transports.connections import Connections
from modelcrate.transports.registry import RegistryOutput
from modelcrate_layers.errors import MachineError
from support import offline, real_registry
from support.command import SOURCES, Crate
from support.images import noise
from support.real_registry import Running
from support.relay import Relay
from support.small_projects import served

EPOCH = {"SOURCE_DATE_EPOCH": "1700000000"}
LARGE = 33 << 20
"""Bytes of a model that is sent while it is measured."""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    if why := real_registry.missing():
        pytest.skip(why)
    with real_registry.running(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = served(tmp_path_factory.mktemp("callers") / "project")
    (folder / "model.bin").write_bytes(noise(LARGE, 7))
    return folder


@dataclass(frozen=True)
class Pushed:
    """What one caller left in the registry, and what it sent."""

    digest: str
    artifacts: tuple[str, ...]
    requests: tuple[tuple[str, int], ...]
    sent: int


@dataclass(frozen=True)
class Place:
    """Where one caller works: a home of its own, and a repository of its own behind a relay."""

    home: Path
    reference: str

    @property
    def config(self) -> Config:
        return Config(self.home, {"HOME": str(self.home), "PATH": os.environ["PATH"], **EPOCH})

    @property
    def crate(self) -> Crate:
        return Crate.at(self.home, **EPOCH)


Caller = Callable[[Path, Place], None]
Run = Callable[[Caller], Pushed]


def command(project: Path, place: Place) -> None:
    place.crate("build", project, "--push", place.reference).succeeded()


def batch_command(project: Path, place: Place) -> None:
    place.home.mkdir(parents=True, exist_ok=True)
    (place.home / "list.txt").write_text(f"{project}\n")
    place.crate("build", "--each", place.home / "list.txt", "--push", place.reference).succeeded()


def session(project: Path, place: Place) -> None:
    with Session(place.config) as session:
        output = RegistryOutput.of(Reference.parse(place.reference))
        session.build(replace(session.read(project), outputs=(output,)))


def library(project: Path, place: Place) -> None:
    modelcrate.build(project, push=place.reference, settings=place.config)


def _batch(project: Path, place: Place, pool: ThreadPoolExecutor | ProcessPoolExecutor) -> None:
    with pool:
        order = modelcrate.Order(project, push=(place.reference,))
        (outcome,) = modelcrate.build_all([order], pool, place.config)
    assert outcome.code == 0, outcome.fault


def batch_of_threads(project: Path, place: Place) -> None:
    _batch(project, place, ThreadPoolExecutor(1))


def batch_of_processes(project: Path, place: Place) -> None:
    _batch(project, place, ProcessPoolExecutor(1, get_context("spawn")))


def batch_on_dask(project: Path, place: Place) -> None:
    script = (
        "import sys, modelcrate\n"
        "from pathlib import Path\n"
        "from distributed import Client, LocalCluster\n"
        "from modelcrate.config import Config\n"
        "if __name__ == '__main__':\n"
        "    project, home, reference, path = sys.argv[1:]\n"
        "    config = Config(Path(home), {'HOME': home, 'PATH': path, 'SOURCE_DATE_EPOCH': '1700000000'})\n"
        "    with LocalCluster(1, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:\n"
        "        order = modelcrate.Order(Path(project), push=(reference,))\n"
        "        (outcome,) = modelcrate.build_all([order], client.get_executor(pure=False), config)\n"
        "    sys.exit(outcome.fault or None)\n"
    )
    pytest.importorskip("distributed", reason="dask's distributed is not installed")
    place.home.mkdir(parents=True, exist_ok=True)
    (place.home / "on_dask.py").write_text(script)
    words = [sys.executable, str(place.home / "on_dask.py"), str(project), str(place.home), place.reference]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": SOURCES, "HOME": str(place.home)}
    subprocess.run([*words, os.environ["PATH"]], env=environment, check=True, capture_output=True)


ONE_STEP: list[Caller] = [
    command,
    batch_command,
    session,
    library,
    batch_of_threads,
    batch_of_processes,
    batch_on_dask,
]
"""Callers that know where the image goes before it is built."""


def library_in_two_steps(project: Path, place: Place) -> None:
    modelcrate.build(project, settings=place.config).push(place.reference)


def stored_and_pushed(project: Path, place: Place) -> None:
    place.crate("build", project, "-t", "kept").succeeded()
    place.crate("push", "kept", place.reference).succeeded()


def _azure_files(place: Place) -> tuple[Workspace, Model, InferenceConfig]:
    files = offline.write_project(place.home.with_name(f"{place.home.name}-files"))
    environment = Environment("offline")
    environment.docker.base_image = f"rootfs:{files / 'base.tar'}"
    environment.python.interpreter_path = "/usr/bin/python3.11"
    environment.python.conda_dependencies = CondaDependencies.create(
        pip_packages=["tiny-answer==1.0", "azureml-defaults"], python_version="3.11"
    )
    environment.python.conda_dependencies.set_pip_option(f"--find-links {files / 'wheels'}")
    host, _, rest = place.reference.partition("/")
    workspace = Workspace(address=f"{host}/{rest.partition(':')[0]}", settings=place.config)
    model = Model.register(workspace, str(files / "models" / "one.bin"), "one")
    config = InferenceConfig("score.py", source_directory=str(files / "src"), environment=environment)
    return workspace, model, config


def azure_package(project: Path, place: Place) -> None:
    workspace, model, config = _azure_files(place)
    package = Model.package(workspace, [model], config, image_name="image", image_label="1")
    package.wait_for_creation()
    workspace.connections.close()


ARTIFACTS = 3
"""Two bills of materials, and what the layers hold, for the next build."""


def push(caller: Caller, project: Path, registry: Running, folder: Path) -> Pushed:
    """Lets a caller build and push, and returns what it left and sent."""
    held: list[bool] = []
    with closing(Relay(registry.host)) as relay:
        name = caller.__name__.replace("_", "-")
        place = Place(folder / "home", f"{relay.host}/callers/{folder.name.replace('_', '-')}-{name}:1")
        relay.at(1, lambda: held.append(is_held(place.home)))
        caller(project, place)
        relay.settle()
        requests, sent = tuple(sorted(relay.requests.items())), relay.received
        image = place.reference if caller is not azure_package else f"{place.reference.rpartition(':')[0]}/image:1"
        with Connections(Config(folder / "looking")) as connections:
            client, reference = connections.registries, Reference.parse(image)
            digest = client.resolve(reference).digest
            beside = client.referrers(reference.at(digest))
    assert held == [True], "the home was locked while something was sent"
    return Pushed(str(digest), tuple(sorted(str(each.digest) for each in beside)), requests, sent)


def is_held(home: Path) -> bool:
    """Whether a prune would have to wait."""
    try:
        with exclusive_home_lock(home):
            return False
    except MachineError:
        return True


@pytest.fixture
def run(tmp_path: Path, registry: Running, project: Path) -> Run:
    return partial(push, project=project, registry=registry, folder=tmp_path)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, registry: Running, project: Path) -> Pushed:
    return push(command, project, registry, tmp_path_factory.mktemp("expected"))


@pytest.mark.parametrize("caller", ONE_STEP[1:], ids=lambda caller: caller.__name__)
def test_all_give_the_same(caller: Caller, run: Run, expected: Pushed) -> None:
    pushed = run(caller)
    assert len(pushed.artifacts) == ARTIFACTS
    assert pushed == expected


@pytest.mark.parametrize("caller", [library_in_two_steps, stored_and_pushed], ids=lambda caller: caller.__name__)
def test_to_build_and_to_push_later_leaves_the_same(caller: Caller, run: Run, expected: Pushed) -> None:
    """Where the image goes is not known while it is built, so its model is not streamed: only the requests may differ."""
    pushed = run(caller)
    assert (pushed.digest, pushed.artifacts) == (expected.digest, expected.artifacts)


def test_a_package_gets_all_that_a_build_gets(run: Run) -> None:
    assert len(run(azure_package).artifacts) == ARTIFACTS


def _with_sources(caller: Callable[[Path, Config, str], None], project: Path, folder: Path) -> tuple[str, ...]:
    """Lets a caller build with sources, and returns what is beside the image."""
    caller(project, Config(folder, Place(folder, "").config.environment), "one:1")
    with Connections(Config(folder)) as connections:
        return tuple(sorted(str(each.manifest.descriptor.digest) for each in find("one:1", connections).attached()))


def test_sources_are_asked_for_by_all_callers(tmp_path: Path) -> None:
    project = served(tmp_path / "project")
    Crate.at(tmp_path / "home")("lock", project).succeeded()
    (tmp_path / "list.txt").write_text(f"{project}\n")

    def by_command(*words: str | Path) -> Callable[[Path, Config, str], None]:
        return lambda _, config, name: (
            Crate.at(config.home, **EPOCH)("build", *words, "--sources", "-t", name).succeeded() and None
        )

    def by_library(project: Path, config: Config, name: str) -> None:
        modelcrate.build(project, outputs=f"store:{name}", sources=True, settings=config)

    def by_batch(project: Path, config: Config, name: str) -> None:
        order = modelcrate.Order(project, (f"store:{name}",), sources=True)
        with ThreadPoolExecutor(1) as pool:
            (outcome,) = modelcrate.build_all([order], pool, config)
        assert outcome.code == 0, outcome.fault

    callers = [by_command(project), by_command("--each", tmp_path / "list.txt"), by_library, by_batch]
    beside = [_with_sources(each, project, tmp_path / str(number)) for number, each in enumerate(callers)]
    assert len(set(beside)) == 1
    assert len(beside[0]) == 1, "the sources, and nothing else"


OWN = {
    *(
        "help",
        "json",
        "progress",
        "verbose",
        "debug",
        "report",
        "trace",
        "digest_file",
        "reference_file",
    ),  # what is printed and written
    *("each", "jobs", "dask"),  # orders are given to `build_all`, with an executor
    "offline",  # of a Config
    "tag",  # short for an output
}
"""Options of the command that a caller in Python has in another way."""


def test_callers_in_python_have_every_option_of_the_command() -> None:
    def options(command: str) -> set[str]:
        (verbs,) = (each for each in parser([command])._actions if each.dest == "verb")
        assert isinstance(verbs.choices, dict)
        named = {each.dest for each in verbs.choices[command]._actions}
        return {{"output": "outputs", "no_reuse": "reuse"}.get(each, each) for each in named - OWN}

    def parameters(function: Callable[..., object]) -> set[str]:
        return set(inspect.signature(function).parameters) - {"settings", "emit"}

    assert options("build") == parameters(modelcrate.build) == set(modelcrate.Order.__match_args__)
    beside = {"outputs", "sbom", "provenance", "sources"}
    assert options("plan") - beside == parameters(modelcrate.plan), "what is put beside an image is not planned"


Sharing = Callable[[Path, Place, str, str], None]
"""A caller that is also given a list of shared layers, and the key that signs it."""


def share_by_command(project: Path, place: Place, shared: str, key: str) -> None:
    place.crate("build", project, "--push", place.reference, "--share-layers", shared, "--sign", key).succeeded()


def share_by_library(project: Path, place: Place, shared: str, key: str) -> None:
    modelcrate.build(project, push=place.reference, share_layers=shared, sign=key, settings=place.config)


def share_by_batch_command(project: Path, place: Place, shared: str, key: str) -> None:
    place.home.mkdir(parents=True, exist_ok=True)
    (place.home / "list.txt").write_text(f"{project}\n")
    words = ("--push", place.reference, "--share-layers", shared, "--sign", key)
    place.crate("build", "--each", place.home / "list.txt", *words).succeeded()


def _share_by_order(
    project: Path, place: Place, shared: str, key: str, pool: ThreadPoolExecutor | ProcessPoolExecutor
) -> None:
    order = modelcrate.Order(project, push=(place.reference,), share_layers=shared, sign=key)
    with pool:
        (outcome,) = modelcrate.build_all([order], pool, place.config)
    assert outcome.code == 0, outcome.fault


def share_by_order_in_a_thread(project: Path, place: Place, shared: str, key: str) -> None:
    _share_by_order(project, place, shared, key, ThreadPoolExecutor(1))


def share_by_order_in_a_process(project: Path, place: Place, shared: str, key: str) -> None:
    _share_by_order(project, place, shared, key, ProcessPoolExecutor(1, get_context("spawn")))


SHARING: list[Sharing] = [
    share_by_command,
    share_by_library,
    share_by_batch_command,
    share_by_order_in_a_thread,
    share_by_order_in_a_process,
]


def test_all_share_the_same_layers(registry: Running, tmp_path: Path) -> None:
    private, public = write_pair(tmp_path / "key", None)
    project, found = served(tmp_path / "project"), []
    for number, caller in enumerate(SHARING):
        shared = f"{registry.host}/sharing/list-{number}"
        caller(
            project, Place(tmp_path / f"home-{number}", f"{registry.host}/sharing/image:{number}"), shared, str(private)
        )
        with Connections(Config(tmp_path / "looking")) as connections:
            found.append(read_list(place_of(shared), [load_public(public)], connections))
    assert len(found[0].paths) >= 2, "the packages and the server"
    assert all(each == found[0] for each in found)
