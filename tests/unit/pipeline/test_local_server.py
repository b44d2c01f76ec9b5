"""A project's server without an image: its folders, packages and variables, and how it starts again."""

from __future__ import annotations

import argparse
import http.client
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelcrate.cli.console import Console
from modelcrate.cli.serve import _run_again_and_again, _Watch
from modelcrate.config import Config
from modelcrate.pipeline.local_server import LocalServer, local_server, stop
from modelcrate.pipeline.session import Session
from modelcrate_layers.errors import UserError
from support.ports import free_port
from support.small_projects import served, write_project
from support.waiting import HANG, until


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    if shutil.which("python3.11") is None:
        pytest.skip("python3.11 is not installed")
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    with Session(Config(tmp_path / "home", {"HOME": str(tmp_path), "PATH": path}, offline=True)) as session:
        yield session


def test_the_folders_of_the_image_are_links_and_the_packages_are_there(session: Session, tmp_path: Path) -> None:
    project = served(tmp_path / "project")
    prepared = session.prepare(session.read(project))
    with local_server(prepared, session, 4711) as server:
        root = server.folder.parents[1]
        script = server.folder / "src/score.py"
        assert script.samefile(project / "src/score.py")
        model = Path(server.env["AZUREML_MODEL_DIR"])
        assert (model / "model.bin").read_bytes() == (project / "model.bin").read_bytes()
        assert model == root / "azureml-app/azureml-models/served/1" or str(model).endswith("azureml-models/served/1")
        python = Path(server.argv[0])
        assert list(python.parents[1].rglob("tiny_lib*"))
        assert (Path(server.env["PYTHONPATH"].split(":")[0]) / "modelcrate_server/__main__.py").is_file()
        assert (server.env["MODELCRATE_HOST"], server.env["MODELCRATE_PORT"]) == ("127.0.0.1", "4711")
        assert {project / "src", project / "model.bin"} <= set(server.watched)
        assert server.health == "/"
        assert len(server.differences) == 3
    assert not server.folder.exists()
    with local_server(prepared, session, 4711) as again:
        assert again.argv[0] == server.argv[0]  # the environment is made once


def test_an_environment_that_came_with_a_copy_of_the_home_is_made_again(session: Session, tmp_path: Path) -> None:
    """Its Python would else be a program of whoever may write to that copy."""
    prepared = session.prepare(session.read(served(tmp_path / "project")))
    with local_server(prepared, session, 4711) as server:
        python = Path(server.argv[0])
    home = session.config.home
    shutil.copytree(home / "environments", tmp_path / "copy", symlinks=True)
    shutil.rmtree(home / "environments")
    (tmp_path / "copy").rename(home / "environments")
    python.unlink()
    python.write_text("#!/bin/sh\necho hostile\n")
    with local_server(prepared, session, 4711) as server:
        assert Path(server.argv[0]) == python
        assert b"hostile" not in python.read_bytes()[:100]


def test_a_script_alone_and_what_can_not_be_served(session: Session, tmp_path: Path) -> None:
    project = served(tmp_path / "project")
    file = project / "modelcrate.yaml"
    file.write_text(file.read_text().replace("entry: {source: src, script: score.py}", "entry: src/score.py"))
    with local_server(session.prepare(session.read(project)), session, 1) as server:
        assert (server.folder / "score.py").samefile(project / "src/score.py")
    models = write_project(tmp_path / "models", "name: m\nbase: scratch\nmodels: [m.bin]\n")
    (models / "m.bin").write_bytes(b"1")
    with (
        pytest.raises(UserError, match="no entry script"),
        local_server(session.prepare(session.read(models)), session, 1),
    ):
        pass


class Shown(Console):
    """A console that keeps what it is told."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def print_message(self, text: str) -> None:
        self.messages.append(text)


def test_it_starts_again_when_a_file_changes_and_ends_when_the_project_does(tmp_path: Path) -> None:
    """The server is Python's own, so that only what starts it is tried."""
    source, declared = tmp_path / "source.py", tmp_path / "modelcrate.yaml"
    source.write_text("1")
    declared.write_text("1")
    port = free_port()
    argv = (sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1")
    server = LocalServer(argv, {}, port, tmp_path, (source,), (), "/")
    console, results = Shown(), []
    arguments = argparse.Namespace(no_reload=False)
    watch = _Watch([declared])
    thread = threading.Thread(
        target=lambda: results.append(_run_again_and_again(server, watch, arguments, console)), daemon=True
    )
    thread.start()
    until(lambda: sum(text.startswith("ready after") for text in console.messages) == 1, HANG)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HANG)
    connection.request("GET", "/")
    assert connection.getresponse().status == 200
    connection.close()
    source.write_text("22")
    until(lambda: sum(text.startswith("ready after") for text in console.messages) == 2, HANG)
    declared.write_text("22")
    thread.join(HANG)
    assert results == [None]
    assert "source.py has changed" in console.messages
    assert console.messages[-1] == "the project has changed; it is resolved again"


def test_a_server_that_ends_waits_for_a_change(tmp_path: Path) -> None:
    source = tmp_path / "source.py"
    source.write_text("1")
    server = LocalServer((sys.executable, "-c", "raise SystemExit(3)"), {}, free_port(), tmp_path, (source,), (), "/")
    console = Shown()
    watch = _Watch([tmp_path / "modelcrate.yaml"])
    thread = threading.Thread(
        target=lambda: _run_again_and_again(server, watch, argparse.Namespace(no_reload=False), console), daemon=True
    )
    thread.start()
    until(lambda: any("exit code 3; waiting" in text for text in console.messages), HANG)
    (tmp_path / "modelcrate.yaml").write_text("1")
    thread.join(HANG)
    assert not thread.is_alive()
    assert _run_again_and_again(server, watch, argparse.Namespace(no_reload=True), console) == 3


def test_a_server_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelcrate.pipeline.local_server._STOPPING", 0.2)
    text = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(1000)"
    )
    server = LocalServer((sys.executable, "-c", text), {}, free_port(), tmp_path, (), (), "/")
    process = server.start()
    stop(process)
    assert process.returncode is not None
