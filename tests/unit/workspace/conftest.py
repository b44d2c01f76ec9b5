from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from modelcrate.config import Config
from modelcrate.events import ignore_event
from modelcrate.pipeline.register_model import Registration, register
from modelcrate.transports.connections import Connections
from modelcrate.workspace.backend import WorkspaceBackend
from modelcrate.workspace.opening import open_workspace
from modelcrate.workspace.record import ModelRecord
from support import real_registry

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def registry_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if why := real_registry.missing():
        pytest.skip(why)
    with real_registry.running(tmp_path_factory.mktemp("registry")) as running:
        yield running.host


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    return Config(tmp_path / "home", {"HOME": str(tmp_path)})


@pytest.fixture(params=["folder", "registry"])
def backend(request: pytest.FixtureRequest, tmp_path: Path, settings: Config) -> WorkspaceBackend:
    """A workspace of each kind; the registry is docker-registry."""
    if request.param == "folder":
        return open_workspace(str(tmp_path / "workspace"), Connections(settings))
    host = request.getfixturevalue("registry_host")
    return open_workspace(f"{host}/{tmp_path.name.replace('_', '-').strip('-')}", Connections(settings))


Put = Callable[..., ModelRecord]


@pytest.fixture
def put(backend: WorkspaceBackend, settings: Config, tmp_path: Path) -> Put:
    """Registers a model of one file whose bytes are given."""

    def put(name: str = "iris", data: bytes = b"weights", **more: Any) -> ModelRecord:
        path = tmp_path / "files" / "model.bin"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        wanted = Registration(name, more.pop("path", path), **more)
        return register(backend, wanted, settings, NOON, ignore_event)

    return put
