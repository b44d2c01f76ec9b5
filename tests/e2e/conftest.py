"""What the end-to-end tests share: the command line in this process, where a process of its own would only cost time, and containers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from modelcrate.containers import Container, RunOptions, containers, start
from modelcrate_layers.content import Literal
from support.command import Inside
from support.containers import ENGINES, Run, why_not
from support.rootfs import tiny_rootfs


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Inside:
    return Inside.of(tmp_path / "home", monkeypatch, capfd)


@pytest.fixture(scope="session")
def rootfs() -> Literal:
    found = tiny_rootfs()
    if found is None:
        pytest.skip("this machine lacks a program of the test's root file system (sh, coreutils, perl, ldd)")
    return found


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    """A state folder; whatever still runs in it is ended."""
    yield tmp_path / "state"
    for container in containers(tmp_path / "state"):
        container.stop(timeout=0)
        container.remove()
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


@pytest.fixture(params=ENGINES)
def engine_name(request: pytest.FixtureRequest) -> str:
    if reason := why_not(request.param):
        pytest.skip(reason)
    return str(request.param)


@pytest.fixture
def run(rootfs: Literal, state_dir: Path, engine_name: str, tmp_path: Path) -> Run:
    def run(
        *command: str, config: Mapping[str, Any] | None = None, extra: Literal | None = None, **options: Any
    ) -> Container:
        chosen = RunOptions(
            **{
                "name": "it",
                "state_dir": state_dir,
                "engine": engine_name,
                "command": command,
                "trees": tmp_path / "trees",
                **options,
            }
        )
        return start({"config": dict(config or {})}, [rootfs, *([extra] if extra else [])], chosen)

    return run
