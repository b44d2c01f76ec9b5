"""`server: azureml`: Microsoft's own server in an image, asked the same as ours in another."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from support import demo as demos
from support.demo import Built
from support.shared_command import Modelcrate
from support.validator import assert_valid_layout
from support.waiting import HANG

pytestmark = [pytest.mark.network, pytest.mark.slow]

SCORE = """\
import json
import os


def init():
    global offset
    with open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "offset.txt")) as model:
        offset = float(model.read())


def run(data):
    return [sum(row) + offset for row in json.loads(data)["data"]]
"""
REQUEST = '{"data": [[1, 2], [3, 4]]}'
ASKED = [
    ("/", "GET", None),
    ("/score", "POST", REQUEST),
    ("/score", "POST", '{"data": "none"}'),
    ("/score", "POST", "not JSON"),
    ("/score", "PUT", REQUEST),
    ("/swagger.json", "GET", None),
    ("/nothing", "GET", None),
]
INSIGHTS = ("-e", "AML_APP_INSIGHTS_ENABLED=true", "-e", "AML_APP_INSIGHTS_KEY=0b4c7a4e-5a4f-4d6c-8a0b-1f2e3d4c5b6a")
"""Row 34: theirs has it. Nobody listens here, which must not matter."""

STEADY = ("content-type", "x-ms-run-function-failed")
"""Headers that say something of the answer, and not of the moment."""


def answers(modelcrate: Modelcrate, image: str, name: str, *options: str) -> tuple[list[tuple[Any, ...]], str, str]:
    """Status, steady headers and body of everything that is asked of a container of this image; what its server calls itself; its log."""
    started = modelcrate.json("run", "-d", "--name", name, "--read-only", *options, "-p", "0:5001", image)
    out: list[tuple[Any, ...]] = []
    servers: set[str] = set()
    try:
        for path, method, body in ASKED:
            url = f"http://127.0.0.1:{started['ports']['5001']}{path}"
            data = body.encode() if body is not None else None
            asked = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
            try:
                answer = urllib.request.urlopen(asked, timeout=HANG)
            except urllib.error.HTTPError as refused:
                answer = refused
            with answer:
                said = answer.read().decode()
                steady = [answer.headers.get(name) for name in STEADY]
                servers |= {answer.headers.get("x-ms-server-version", "")} - {""}
            out.append((path, answer.status, *steady, sorted(json.loads(said)["paths"]) if "swagger" in path else said))
        log = modelcrate.said("logs", name)
    finally:
        modelcrate.said("kill", name)
    (server,) = servers
    return out, server, log


def built(modelcrate: Modelcrate, folder: Path, server: str) -> Built:
    folder.mkdir()
    (folder / "modelcrate.yaml").write_text(f"name: sums\nserver: {server}\nmodels: [offset.txt]\nentry: score.py\n")
    (folder / "offset.txt").write_text("0.5")
    (folder / "score.py").write_text(SCORE)
    return demos.build_places(folder, folder, modelcrate, [f"oci:{folder}/oci:1"])


def test_a_script_is_checked_the_same_way(modelcrate: Modelcrate, tmp_path: Path) -> None:
    (tmp_path / "modelcrate.yaml").write_text("name: sums\nserver: azureml\nentry: score.py\n")
    (tmp_path / "score.py").write_text("def init():\n    pass\n")
    done = modelcrate.run("build", tmp_path)
    assert done.returncode == 2
    assert "the entry script has no function run" in done.stderr


def test_it_answers_as_ours_does(modelcrate: Modelcrate, tmp_path: Path) -> None:
    original, ours = (built(modelcrate, tmp_path / server, server) for server in ("azureml", "modelcrate"))
    assert_valid_layout(original.layout)
    config = original.document(original.id)["config"]
    assert config["Entrypoint"] == ["/opt/modelcrate/bin/azmlinfsrv", "--entry_script", "score.py"]
    theirs, server, log = answers(modelcrate, f"oci:{original.layout}:1", "original", *INSIGHTS)
    assert "Valid Application Insights instrumentation key provided" in log
    assert server.startswith("azmlinfsrv/1.")
    assert theirs[0][-1] == "Healthy"
    assert json.loads(theirs[1][-1]) == [3.5, 7.5]
    assert theirs == answers(modelcrate, f"oci:{ours.layout}:1", "ours")[0]
