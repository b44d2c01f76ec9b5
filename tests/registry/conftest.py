from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modelcrate.registry.config import RegistryConfig
from modelcrate.registry.oras_client import Registry
from modelcrate.registry.profiles import Rule
from support import index as indexes
from support import real_registry, token_server
from support.images import StillClock, noise
from support.index import PackageIndex
from support.scripted import Script, scripted
from support.wheels import filename, wheel_bytes

SMALL_CHUNKS = Rule("*", chunk_size=1 << 16)
"""So that a megabyte is an upload of many chunks."""


@pytest.fixture
def script() -> Iterator[Script]:
    with scripted() as running:
        yield running


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def events() -> list[object]:
    return []


Client = Callable[..., Registry]


@pytest.fixture
def client(clock: StillClock, events: list[object]) -> Iterator[Client]:
    """Makes clients; the waits of all of them are on the still clock, their events in `events`."""
    made: list[Registry] = []

    def make(**settings: Any) -> Registry:
        settings.setdefault("rules", (SMALL_CHUNKS,))
        emit = settings.pop("emit", events.append)
        made.append(Registry(RegistryConfig(**settings), emit, settings.get("clock", clock)))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[real_registry.Running]:
    if why := real_registry.missing():
        pytest.skip(why)
    with real_registry.running(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[real_registry.Running]:
    if why := real_registry.missing():
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("guarded")
    with real_registry.running(folder, auth=real_registry.htpasswd(folder)) as running:
        yield running


@pytest.fixture
def granted(tmp_path: Path) -> Iterator[tuple[real_registry.Running, token_server.TokenServer]]:
    """A real registry behind a token server with true scopes."""
    if why := real_registry.missing():
        pytest.skip(why)
    server = token_server.TokenServer(tmp_path)
    with (
        token_server.serving(server),
        real_registry.running(tmp_path, auth=real_registry.tokens(server.realm, server.path)) as running,
    ):
        yield running, server


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[real_registry.Running]:
    """A real registry whose log can be read."""
    if why := real_registry.missing():
        pytest.skip(why)
    with real_registry.running(tmp_path_factory.mktemp("registry"), logs=True) as running:
        yield running


@pytest.fixture(scope="module")
def packages() -> Iterator[PackageIndex]:
    """An index with the server's own wheel and one that is too large to be read in passing."""
    heavy = {"tiny_lib.py": b"one\n", "heavy.bin": noise(400_000, 2)}
    wheels = {
        filename("gunicorn", "23.0"): wheel_bytes("gunicorn", "23.0"),
        filename("tiny-lib", "1.0"): wheel_bytes("tiny-lib", "1.0", heavy),
    }
    with indexes.serve(PackageIndex(wheels)) as running:
        yield running
