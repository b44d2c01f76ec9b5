"""A project is served without an image: the same answers, and an edit is seen at once."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from support.ports import free_port
from support.shared_command import Modelcrate
from support.sources import REPOSITORY
from support.waiting import HANG, until

pytestmark = [pytest.mark.network, pytest.mark.slow]

SCRIPT = """
import json, os, pathlib

def init():
    global factor
    factor = int(next(pathlib.Path(os.environ["AZUREML_MODEL_DIR"]).glob("*.txt")).read_text())

def run(data):
    return [factor * sum(row) for row in json.loads(data)["data"]]
"""


class Served:
    """A `modelcrate serve` in the background."""

    def __init__(self, modelcrate: Modelcrate, project: Path, log: Path) -> None:
        self.modelcrate, self.log, self.port = modelcrate, log, free_port()
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                modelcrate.words("serve", project, "-p", str(self.port)),
                env=modelcrate.environment,
                cwd="/",
                stdout=file,
                stderr=file,
            )

    def ready(self, times: int) -> None:
        """Waits until it has been ready so many times."""

        def is_ready() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            return len(re.findall("^ready after", self.log.read_text(), re.MULTILINE)) >= times

        until(is_ready)

    def ask(self, data: str) -> object:
        return json.loads(self.modelcrate.said("predict", f"http://127.0.0.1:{self.port}", "-d", data))

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(HANG)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    (folder / "modelcrate.yaml").write_text(
        "name: served-here\nentry: {source: src, script: score.py}\nmodels: [factor.txt]\nserver: {validate: true}\n"
        "schema: {input: {type: object, properties: {data: {type: array, items: {type: array, items: {type: number}}}}}}\n"
    )
    (folder / "src/score.py").write_text(SCRIPT)
    (folder / "factor.txt").write_text("2")
    return folder


@pytest.fixture
def served(modelcrate: Modelcrate, project: Path, tmp_path: Path) -> Iterator[Served]:
    if shutil.which("python3.11") is None:
        pytest.skip("python3.11 is not installed")
    made = Served(modelcrate, project, tmp_path / "log")
    yield made
    made.end()
    assert f":{made.port}" not in subprocess.run(["ss", "-ltn"], capture_output=True, text=True).stdout


def test_edits_of_script_model_and_project_are_seen(served: Served, project: Path) -> None:
    served.ready(1)
    assert served.ask('{"data": [[1, 2]]}') == [6]
    assert "served by this machine, not by the image" in served.log.read_text()
    refused = served.modelcrate.run("predict", f"http://127.0.0.1:{served.port}", "-d", '{"data": [[1, "x"]]}')
    assert (refused.returncode, "'data'[0][1] should be a number" in refused.stdout) == (4, True)

    (project / "src/score.py").write_text(SCRIPT.replace("factor * sum", "100 * factor * sum"))
    served.ready(2)
    assert served.ask('{"data": [[1, 2]]}') == [600]

    (project / "factor.txt").write_text("3")
    served.ready(3)
    assert served.ask('{"data": [[1, 2]]}') == [900]

    (project / "src/score.py").write_text("def init(")
    until(lambda: "the server ended with exit code 3; waiting for a change" in served.log.read_text())
    (project / "src/score.py").write_text(SCRIPT)
    served.ready(4)

    file = project / "modelcrate.yaml"
    good = file.read_text()
    file.write_text("name: [")
    until(lambda: "waiting for a change\n" in served.log.read_text().partition("it is resolved again")[2])
    file.write_text(good + "env: {WHO: me}\n")
    served.ready(5)
    assert served.ask('{"data": [[1, 2]]}') == [9]


@pytest.mark.parametrize(
    ("text", "code", "what"),
    [
        ("name: x\nbase: scratch\nmodels: [factor.txt]\n", 2, "no entry script"),
        ("name: x\nentry: absent.py\n", 3, "absent.py"),
    ],
)
def test_what_can_not_be_served(modelcrate: Modelcrate, project: Path, text: str, code: int, what: str) -> None:
    (project / "modelcrate.yaml").write_text(text)
    done = modelcrate.run("serve", project, "--no-reload")
    assert done.returncode == code, done.stderr
    assert what in done.stderr


def test_a_killed_serve_leaves_no_server(served: Served) -> None:
    served.ready(1)
    served.process.kill()
    served.process.wait(HANG)
    until(lambda: f":{served.port}" not in subprocess.run(["ss", "-ltn"], capture_output=True, text=True).stdout)


def test_its_own_log_in_the_project_is_no_change_of_it(modelcrate: Modelcrate, tmp_path: Path) -> None:
    """`nohup modelcrate serve &` writes beside the script, and started the server again for each of its own lines."""
    (tmp_path / "score.py").write_text("def init(): ...\n\n\ndef run(data):\n    return data\n")
    (tmp_path / "modelcrate.yaml").write_text("name: flat\nentry: {source: ., script: score.py}\n")
    log = tmp_path / "log.txt"  # as a declaration, too: requirements are texts
    served = Served(modelcrate, tmp_path, log)
    try:
        served.ready(1)
        assert served.ask('"x"') == '"x"'
        time.sleep(1.5)
        assert "has changed" not in log.read_text()
        (tmp_path / "score.py").write_text("def init(): ...\n\n\ndef run(data):\n    return 'new'\n")
        served.ready(2)
        assert served.ask('"x"') == "new"
    finally:
        served.process.terminate()
        served.process.wait()


def test_a_port_of_another_program_is_refused(modelcrate: Modelcrate, project: Path) -> None:
    """Its answers would be taken for the project's: the port is looked at before a server is started, with and without reload."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for more in ((), ("--no-reload",)):
            done = modelcrate.run("serve", project, "-p", str(port), *more)
            assert done.returncode == 2, done.stderr
            assert f"can't listen on port {port} of 127.0.0.1: Address already in use" in done.stderr
            assert "ready after" not in done.stdout + done.stderr


def test_a_bad_port_is_refused(modelcrate: Modelcrate) -> None:
    assert modelcrate.run("serve", REPOSITORY / "fixtures/projects/diabetes", "-p", "0").returncode == 2


def test_the_program_of_a_command_is_served_on_its_own_port(modelcrate: Modelcrate, tmp_path: Path) -> None:
    port = free_port()
    folder = tmp_path / "program"
    (folder / "src").mkdir(parents=True)
    (folder / "factor.txt").write_text("2")
    (folder / "src/app.py").write_text(
        "import http.server, os, sys\n"
        "class Page(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200)\n"
        "        self.end_headers()\n"
        "        self.wfile.write(' '.join([os.path.basename(os.getcwd()), *os.listdir(os.environ['AZUREML_MODEL_DIR'])]).encode())\n"
        "http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), Page).serve_forever()\n"
    )
    (folder / "modelcrate.yaml").write_text(
        f"name: program\ncommand: [python3, app.py, '{port}']\nsource: src\nports: [{port}]\nmodels: [factor.txt]\n"
    )
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            modelcrate.words("serve", folder), env=modelcrate.environment, cwd="/", stdout=file, stderr=file
        )
    try:
        until(lambda: f"http://127.0.0.1:{port}" in log.read_text())
        assert urlopen(f"http://127.0.0.1:{port}/").read() == b"src factor.txt"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(HANG)
    other = subprocess.run(
        modelcrate.words("serve", folder, "-p", "1", "--no-reload"),
        env=modelcrate.environment,
        capture_output=True,
        text=True,
    )
    assert (other.returncode, f"the command listens on port {port}" in other.stderr) == (2, True)
