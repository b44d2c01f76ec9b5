"""The tutorials of docs/tutorials, carried out; `--update-golden` writes onto the pages what the commands print now."""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from support import azure, demo, tools
from support.containers import why_not
from support.pages import Reader, end_containers, install
from support.ports import free_port
from support.real_registry import Running, missing, running
from support.relay import relaying
from support.shared_command import Modelcrate
from support.sources import REPOSITORY
from support.validator import assert_valid_layout

pytestmark = [pytest.mark.network, pytest.mark.slow]

SCIKIT_LEARN = "scikit-learn==1.9.1"


@pytest.fixture(scope="session")
def python() -> str:
    """The interpreter of somebody who has installed what modelcrate needs, and scikit-learn."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    return azure.environment("readers", *project["dependencies"], SCIKIT_LEARN, compiled=False)  # but for what is used


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked layers that containers of all readers share: the same wheels are in all their images."""
    return tmp_path_factory.mktemp("unpacked")


def home(folder: Path, unpacked: Path) -> Modelcrate:
    """Somebody's home that has built nothing yet."""
    crate = Modelcrate(demo.home(folder))
    (crate.home / "unpacked").symlink_to(unpacked)
    return crate


MakeReader = Callable[..., Reader]


@pytest.fixture
def reader(tmp_path: Path, python: str, unpacked: Path, request: pytest.FixtureRequest) -> Iterator[MakeReader]:
    """Makes readers, each in an empty folder."""
    tools.need("curl")
    if why_not("runc") and why_not("namespaces"):
        pytest.skip("no engine works here")
    with ExitStack() as stack:

        def make(replaced: Mapping[str, str] = {}, **more: object) -> Reader:
            crate = home(tmp_path / "home", unpacked)
            folder = tmp_path / "reader"
            folder.mkdir()
            install(folder / "bin", python)
            ports = {"8080": str(free_port())}
            write = request.config.getoption("--update-golden")
            reader = stack.enter_context(
                Reader(folder, crate, {**ports, **replaced}, write=write, **more)  # type: ignore[arg-type]
            )
            stack.callback(end_containers, crate)
            return reader

        yield make


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Running]:
    """A docker-registry that has nothing yet."""
    if reason := missing():
        pytest.skip(reason)
    with running(tmp_path / "registry") as server:
        yield server


def assert_valid(crate: Modelcrate, *references: str) -> None:
    """What a page has pushed is what it should be."""
    for reference in references:
        crate.said("pull", reference)
    assert_valid_layout(crate.home / "store")


def test_data_scientist(reader: MakeReader) -> None:
    follower = reader()
    follower.follow("tutorials/data-scientist.md")
    assert_valid(follower.crate)


def test_ci(reader: MakeReader, registry: Running, tmp_path: Path) -> None:
    """The proxy of production is restarted while the image is pushed there, and is back when the reader types the command again."""
    with running(tmp_path / "production") as production, relaying(production.host) as proxy:
        promote = "modelcrate push registry.example/team/flowers:1 prod.example/team/flowers:1"
        happens = iter([lambda: proxy.at(20_000_000, proxy.drain), proxy.resume])
        laptop = ["env", f"MODELCRATE_HOME={demo.home(tmp_path / 'laptop')}", "TZ=Asia/Tokyo", "LC_ALL=C"]
        hosts = {"registry.example": registry.host, "prod.example": proxy.host}

        def happen() -> None:
            next(happens)()

        follower = reader(hosts, within={"laptop": laptop}, before={promote: happen})
        follower.follow("tutorials/ci.md")
        assert_valid(follower.crate, f"{proxy.host}/team/flowers:1", f"{registry.host}/team/flowers:2")


def test_air_gap(reader: MakeReader, registry: Running, unpacked: Path, tmp_path: Path) -> None:
    """And the guide, whose blocks go on where the tutorial ends. Inside is a network namespace with nothing in it but a registry."""
    tools.need("unshare", "nsenter", "ip", root=True)
    inside = home(tmp_path / "inside-home", unpacked)
    with alone() as within, running(tmp_path / "inside", within=within) as other:
        machines = {"outside": [], "inside": [*within, "env", f"MODELCRATE_HOME={inside.home}"]}
        follower = reader({"registry.example": registry.host, "registry.inside": other.host}, within=machines)
        follower.follow("tutorials/air-gap.md")
        follower.follow("air-gap.md")
    assert_valid(inside)


@contextmanager
def alone() -> Iterator[list[str]]:
    """The words that lead into a network namespace of its own, which has a loopback and nothing else."""
    words = ["unshare", "--net", "sh", "-c", "ip link set lo up && echo ready && cat"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield ["nsenter", "--target", str(process.pid), "--net"]
    finally:
        process.terminate()
        process.wait()


def test_library(reader: MakeReader, registry: Running) -> None:
    follower = reader({"registry.example": registry.host})
    follower.follow("tutorials/library.md")
    assert_valid(follower.crate, f"{registry.host}/team/flowers:2")


def test_azure(reader: MakeReader, registry: Running) -> None:
    follower = reader({"registry.example": registry.host})
    follower.follow("tutorials/azure.md")
    assert_valid(follower.crate, f"{registry.host}/team/flowers:1")
