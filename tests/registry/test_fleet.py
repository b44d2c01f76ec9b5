"""Many projects at once: what they share is fetched, made and sent once, and one that fails stops no other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing, contextmanager
from multiprocessing import get_context
from pathlib import Path

import pytest

import modelcrate
from modelcrate.config import Config
from modelcrate.pipeline.batch import read_list, worst
from modelcrate.pipeline.order import Order
from support.command import SOURCES, Crate
from support.index import PackageIndex
from support.ports import free_port
from support.real_registry import Running
from support.relay import Relay
from support.small_projects import SCRIPT, write_project
from support.waiting import HANG

COUNT = 5


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, packages: PackageIndex) -> list[Path]:
    """Locked projects that differ in their names and scripts, and one that can't be built."""
    top = tmp_path_factory.mktemp("projects")
    folders = []
    for number in range(COUNT):
        folder = write_project(
            top / f"p{number}",
            f"""\
            name: p{number}
            python: "3.11"
            base: {{from: scratch, interpreter: /usr/bin/python3.11}}
            dependencies: {{requirements: [tiny-lib], index-url: {packages.url}}}
            entry: {{source: src, script: score.py}}
            """,
        )
        (folder / "src").mkdir()
        (folder / "src" / "score.py").write_text(f"{SCRIPT}\nNUMBER = {number}\n")
        folders.append(folder)
    crate = Crate.at(top / "home")
    crate("lock", folders[0]).succeeded()
    for folder in folders[1:]:  # they ask for the same, so the lock is theirs as well
        (folder / "modelcrate.lock").write_bytes((folders[0] / "modelcrate.lock").read_bytes())
    (top / "broken").mkdir()
    (top / "broken" / "modelcrate.yaml").write_text("name: broken\nnonsense: 1\n")
    return folders


@pytest.fixture
def folders(template: list[Path], packages: PackageIndex) -> list[Path]:
    packages.log.clear()
    return template


def origins(outcomes: list[modelcrate.Outcome], role: str) -> list[str]:
    return [
        layer["origin"]
        for each in outcomes
        if each.receipt
        for layer in each.receipt["layers"]
        if layer["role"] == role
    ]


def test_threads_share_connections_wheels_and_layers(
    tmp_path: Path, folders: list[Path], packages: PackageIndex, registry: Running
) -> None:
    with closing(Relay(registry.host)) as relay:
        orders = [Order(folder, (f"registry:{relay.host}/fleet/{{name}}:1",)) for folder in folders]
        with ThreadPoolExecutor(COUNT) as pool:
            outcomes = modelcrate.build_all(orders, pool, Config(tmp_path / "home"))
        assert [each.fault for each in outcomes] == [""] * COUNT
        layers = len([each for each in outcomes[0].receipt["layers"] if each["role"] == "dependencies"])
        assert origins(outcomes, "dependencies").count("built") == layers, "each is made once"
        assert origins(outcomes, "entry") == ["built"] * COUNT
        assert sorted(packages.downloads()) == sorted(packages.files), "each is fetched once"
        requests = sum(relay.requests.values())
        assert relay.connections < requests / 2


def test_one_that_fails_stops_no_other_and_decides_the_exit_code(tmp_path: Path, folders: list[Path]) -> None:
    top = folders[0].parent
    (top / "list.txt").write_text("# a list\np0\n\nbroken\np1\nnowhere\n")
    crate = Crate.at(tmp_path / "home")
    done = crate(
        "build", "--each", top / "list.txt", "-o", f"oci:{tmp_path}/{{name}}:1", "--json", "--progress", "none"
    )
    assert [(Path(each["project"]).name, each["exit_code"]) for each in done.json] == [
        ("p0", 0),
        ("broken", 2),
        ("p1", 0),
        ("nowhere", done.json[3]["exit_code"]),
    ]
    assert done.code == max(each["exit_code"] for each in done.json) > 0
    assert "nonsense" in done.err
    assert (tmp_path / "p1" / "index.json").exists()


def test_processes_share_by_the_folder(tmp_path: Path, folders: list[Path], packages: PackageIndex) -> None:
    orders = [Order(folder, (f"oci:{tmp_path}/{folder.name}:1",)) for folder in folders[:3]]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        outcomes = modelcrate.build_all(orders, pool, Config(tmp_path / "home"))
    assert worst(outcomes) == 0, [each.fault for each in outcomes]
    layers = len([each for each in outcomes[0].receipt["layers"] if each["role"] == "dependencies"])
    assert origins(outcomes, "dependencies").count("built") == layers, "each is made once"


def test_a_list_that_is_none_is_the_users_fault(tmp_path: Path) -> None:
    Crate.at(tmp_path / "home")("build", "--each", tmp_path / "no.txt").failed(2, "can't read the list of projects")
    (tmp_path / "list").write_text("a\n  b  \n#c\n")
    assert read_list(tmp_path / "list") == [tmp_path / "a", tmp_path / "b"]


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """A Dask scheduler and two workers of one thread each, each with a MODELCRATE_HOME of its own."""
    address = f"tcp://127.0.0.1:{free_port()}"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": SOURCES, "HOME": str(folder)}
    words = ["--no-dashboard"]
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, *more: str) -> None:
        (folder / name).mkdir(parents=True)
        told = {**environment, "MODELCRATE_HOME": str(folder / name)}
        with (folder / f"{name}.log").open("wb") as log:
            command = [sys.executable, "-m", "distributed.cli." + more[0], *more[1:], *words]
            started.append(subprocess.Popen(command, env=told, cwd=folder / name, stdout=log, stderr=log))

    try:
        start("scheduler", "dask_scheduler", "--host", address.rpartition(":")[0], "--port", address.rpartition(":")[2])
        for name in ("one", "two"):
            start(name, "dask_worker", address, "--nthreads", "1", "--no-nanny", "--host", "127.0.0.1", "--name", name)
        yield address
    finally:
        for process in reversed(started):  # workers first: one whose scheduler is gone waits for it to come back
            process.terminate()
            process.wait(HANG)


def test_a_dask_cluster_shares_through_the_registry(
    tmp_path: Path, folders: list[Path], packages: PackageIndex, registry: Running
) -> None:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed (pip install modelcrate[dask])")
    first = f"{registry.host}/dask/p0:1"
    Crate.at(tmp_path / "first")("build", folders[0], "--push", first).succeeded()
    packages.log.clear()
    (folders[0].parent / "all.txt").write_text("".join(f"{folder.name}\n" for folder in folders))
    with cluster(tmp_path / "cluster") as address:
        with distributed.Client(address) as client:
            client.wait_for_workers(2, timeout=HANG)
        done = Crate.at(tmp_path / "home")(
            "build", "--each", folders[0].parent / "all.txt", "--dask", address, "--json",
            "--push", f"{registry.host}/dask/{{name}}:1", "--cache-from", f"registry:{first}",
        ).succeeded()  # fmt: skip
    assert [each["exit_code"] for each in done.json] == [0] * COUNT
    made = {
        layer["origin"] for each in done.json for layer in each["receipt"]["layers"] if layer["role"] == "dependencies"
    }
    assert made == {"reused"}
    assert packages.log == [], "no worker asked for a package"
    used = [name for name in ("one", "two") if (tmp_path / "cluster" / name / "store").exists()]
    assert used == ["one", "two"], "both workers built"


@pytest.mark.parametrize(
    ("listed", "options", "message"),
    [
        (b"# none yet\n\n", (), "lists no project"),
        (b"\xff\xfe", (), "is not UTF-8 text"),
        (b"a\nb\n", ("--push", "registry.example/team/all"), "2 projects can't all be 'registry.example/team/all'"),
        (b"a\nb\n", ("-t", "all"), "2 projects can't all be 'all'"),
    ],
)
def test_a_list_that_gives_no_image_of_each_is_refused(
    listed: bytes, options: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    (tmp_path / "list").write_bytes(listed)
    Crate.at(tmp_path / "home")("build", "--each", tmp_path / "list", *options).failed(2, message)
