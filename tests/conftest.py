"""Images and registries that the whole run shares, and the count of the tests in which other people's tools judged."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from socketserver import BaseServer

import pytest
from hypothesis import HealthCheck, settings

from support import demo as demos
from support import real_registry
from support.demo import Built
from support.shared_command import Modelcrate

# how long an example takes is the machine's business: the suite shares its cores with itself
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


@pytest.fixture(scope="session", autouse=True)
def _quiet_servers() -> Iterator[None]:
    """Servers of tests write no traceback for a client that goes away: standard error is what a command said."""
    usual = BaseServer.handle_error

    def told(server: BaseServer, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            usual(server, request, client_address)  # type: ignore[arg-type]

    BaseServer.handle_error = told  # type: ignore[method-assign]
    yield
    BaseServer.handle_error = usual  # type: ignore[method-assign]


def _say_nothing(fault: sys.UnraisableHookArgs) -> None:
    """Passes over what is raised while garbage is collected, for example the warning that a temporary file closes with its last reader.

    pytest's own hook formats it, which reads source with `ast`. Where the collection began within `ast.parse`, CPython 3.11 fails there
    with "AST constructor recursion depth mismatch", in a test that has nothing to do with it.
    """


sys.unraisablehook = _say_nothing


def pytest_collection_finish() -> None:
    """The tests live as long as the run: no search for garbage has to go through their 400,000 objects again."""
    gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the golden digests and what tutorials print anew; review the difference line by line, and say in the changelog why they moved",
    )


@pytest.fixture(scope="session")
def modelcrate(tmp_path_factory: pytest.TempPathFactory) -> Modelcrate:
    """The command line, over a home that begins with nothing but earlier downloads."""
    return Modelcrate(demos.home(tmp_path_factory.mktemp("shared") / "home"))


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, modelcrate: Modelcrate) -> Built:
    """The image of fixtures/projects/diabetes, from the real mirrors."""
    return demos.build(demos.PROJECT, tmp_path_factory.mktemp("demo"), modelcrate, demos.NAME)


@pytest.fixture(scope="session")
def gzip_demo(tmp_path_factory: pytest.TempPathFactory, modelcrate: Modelcrate, demo: Built) -> Built:
    """The same for old consumers."""
    project = demos.copy_of_demo(tmp_path_factory.mktemp("gzip") / "diabetes", codec="gzip")
    folder = tmp_path_factory.mktemp("gzip-demo")
    return demos.build_places(project, folder, modelcrate, [f"oci:{folder}/oci:1"])


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory, modelcrate: Modelcrate) -> Built:
    """A small image that needs no network to be built."""
    project = demos.small_project(tmp_path_factory.mktemp("small") / "small")
    return demos.build(project, tmp_path_factory.mktemp("small-image"), modelcrate, "small:1")


@pytest.fixture(scope="session")
def small_gzip(tmp_path_factory: pytest.TempPathFactory, modelcrate: Modelcrate) -> Built:
    """The same for old consumers."""
    project = demos.small_project(tmp_path_factory.mktemp("small") / "small", codec="gzip")
    return demos.build(project, tmp_path_factory.mktemp("small-image"), modelcrate, "small:gzip")


@pytest.fixture(scope="session")
def docker_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[real_registry.Running]:
    """A docker-registry without a lock on its door."""
    if reason := real_registry.missing():
        pytest.skip(reason)
    with real_registry.running(tmp_path_factory.mktemp("registry")) as server:
        yield server


@pytest.fixture
def talkative_registry(tmp_path: Path) -> Iterator[real_registry.Running]:
    """A docker-registry that logs what it answers."""
    if reason := real_registry.missing():
        pytest.skip(reason)
    with real_registry.running(tmp_path / "registry", level="info") as server:
        yield server


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many interop tests ran, and what the others lacked: a run in which all were skipped must not look like a pass."""
    counted: Counter[str] = Counter()
    lacked: Counter[str] = Counter()
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            if "interop" in getattr(report, "keywords", {}) and (report.when == "call" or outcome != "passed"):
                counted[outcome] += 1
                if outcome == "skipped" and isinstance(report.longrepr, tuple):
                    lacked[str(report.longrepr[2]).removeprefix("Skipped: ")[:160]] += 1
    if counted:
        told = ", ".join(f"{count} {outcome}" for outcome, count in counted.items())
        terminalreporter.write_sep("-", f"interop, judged by other people's tools: {told}")
        for reason, count in lacked.most_common():
            terminalreporter.write_line(f"  {count} not judged: {reason}")
