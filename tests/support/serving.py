"""Starts scoring servers as processes of their own on loopback, asks them, and ends them by their handle."""

from __future__ import annotations

import http.client
import importlib.util
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from modelcrate.project.contracts import SERVER_ROOT, promise
from support.ports import free_port
from support.waiting import HANG

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "fixtures/entry_scripts"


@dataclass(frozen=True)
class Ask:
    """A request to be sent as it is."""

    method: str = "POST"
    path: str = "/score"
    body: bytes | None = None
    headers: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass
class Server:
    """A running server. `log` is complete once it has ended."""

    process: subprocess.Popen[bytes]
    port: int
    log_file: Path
    kept: list[http.client.HTTPConnection] = field(default_factory=list)

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def ask(self, ask: Ask) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANG)
        try:
            return ask_over(connection, ask)
        finally:
            connection.close()

    def stop(self, with_signal: int = signal.SIGTERM) -> int:
        """Its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        try:
            return self.process.wait(HANG)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


def ask_over(connection: http.client.HTTPConnection, ask: Ask) -> Answer:
    connection.putrequest(ask.method, ask.path, skip_accept_encoding=True)
    for name, value in ask.headers:
        connection.putheader(name, value.encode("latin-1"))
    if ask.body is not None and not any(name == "Transfer-Encoding" for name, _ in ask.headers):
        connection.putheader("Content-Length", str(len(ask.body)))
    connection.endheaders(ask.body)
    response = connection.getresponse()
    return Answer(response.status, response.getheaders(), response.read())


@contextmanager
def started(command: Sequence[str], port: int, env: Mapping[str, str], folder: Path) -> Iterator[Server]:
    """The server of this command once it answers on its port; ended when the block is left."""
    with process_of(command, port, env, folder) as server:
        _await_answer(server)
        yield server


@contextmanager
def process_of(command: Sequence[str], port: int, env: Mapping[str, str], folder: Path) -> Iterator[Server]:
    """The process of this command; ended when the block is left."""
    log_file = folder / f"server-{port}.log"
    clean = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env={**clean, **env}, stdout=log, stderr=subprocess.STDOUT)
    server = Server(process, port, log_file)
    try:
        yield server
    finally:
        server.stop()


def _await_answer(server: Server) -> None:
    deadline = time.monotonic() + HANG
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise AssertionError(f"the server ended with {server.process.returncode}:\n{server.log}")
        try:
            server.ask(Ask("GET", "/"))
        except (ConnectionError, TimeoutError, http.client.HTTPException):
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"the server does not answer:\n{server.log}")


@cache
def _lacks_gunicorn(python: str) -> bool:
    return subprocess.run([python, "-c", "import gunicorn"], capture_output=True).returncode != 0


def _libraries(python: str, folder: Path) -> list[str]:
    """Returns a folder with this interpreter's gunicorn for one that has none: both are pure Python."""
    if not _lacks_gunicorn(python):
        return []
    libraries = folder / "libraries"
    libraries.mkdir(exist_ok=True)
    for name in ("gunicorn", "packaging"):
        spec = importlib.util.find_spec(name)
        link = libraries / name
        if spec is not None and spec.submodule_search_locations and not link.exists():
            link.symlink_to(spec.submodule_search_locations[0])
    return [str(libraries)]


@contextmanager
def our_server(
    python: str, script: Path, folder: Path, env: Mapping[str, str] | None = None, options: Sequence[str] = ()
) -> Iterator[Server]:
    """modelcrate's server, as an image starts it but on loopback, once it answers."""
    with starting(python, script, folder, env, options) as server:
        _await_answer(server)
        yield server


@contextmanager
def starting(
    python: str, script: Path, folder: Path, env: Mapping[str, str] | None = None, options: Sequence[str] = ()
) -> Iterator[Server]:
    """The same while it still starts."""
    port = free_port()
    promised = promise()
    for name, data in promised.files:
        file = folder / "image" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    ours = {
        **{name: value for name, value in promised.env if name != "PYTHONPATH"},
        "MODELCRATE_HOST": "127.0.0.1",
        "PYTHONPATH": os.pathsep.join([str(folder / "image" / SERVER_ROOT), *_libraries(python, folder)]),
        "AML_APP_ROOT": str(folder),
        "AZUREML_ENTRY_SCRIPT": str(script),
    }
    command = [python, *promised.argv[1:], "--port", str(port), *options]
    with process_of(command, port, {**ours, **(env or {})}, folder) as server:
        yield server
