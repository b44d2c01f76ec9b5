"""Images that start a program of their own: a web application of another framework, and a job that reads, writes and ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelcrate.transports import oci
from support.shared_command import Modelcrate
from support.validator import assert_valid_layout

pytestmark = [pytest.mark.network, pytest.mark.slow]

APPLICATION = """
from fastapi import FastAPI

app = FastAPI()


@app.get("/healthz")
def healthy():
    return {"ok": True}


@app.post("/predict")
def predict(body: dict):
    return {"sum": sum(body["data"])}
"""

JOB = """
import json, os, pathlib, sys

factor = int(next(pathlib.Path(os.environ["AZUREML_MODEL_DIR"]).glob("*.txt")).read_text())
rows = [json.loads(path.read_text()) for path in sorted(pathlib.Path(sys.argv[1]).iterdir())]
print(json.dumps([factor * sum(row) for row in rows]), os.getcwd())
"""


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_a_web_application(modelcrate: Modelcrate, tmp_path: Path) -> None:
    project = write(
        tmp_path / "api",
        modelcrate_yaml="""
name: command-api
command: [uvicorn, "app:app", --host, "0.0.0.0", --port, "8000"]
source: src
ports: [8000]
health: /healthz
dependencies: [fastapi, uvicorn]
tests:
  - {request: '{"data": [1, 2]}', expect: '{"sum": 3}', path: /predict}
""",
        src__app_py=APPLICATION,
    )
    layout = tmp_path / "layout"
    modelcrate.said("build", project, "--test", "-o", f"oci:{layout}", "-t", "command-api:1")
    assert_valid_layout(layout)
    (image,) = oci.find(layout, None).read().images
    config = image.settings["config"]
    assert config["Entrypoint"] == ["uvicorn", "app:app", "--host", "0.0.0.0", "--port", "8000"]
    assert config["WorkingDir"] == "/var/azureml-app/src"
    assert list(config["ExposedPorts"]) == ["8000/tcp"]
    assert config["Labels"]["io.modelcrate.health"] == "/healthz"
    assert [layer.role for layer in image.layers if layer.role == "server"] == []
    started = modelcrate.json("run", "-d", "-p", "0:8000", "--wait", "120", "--name", "command-api", "command-api:1")
    try:
        assert started["ready"] is True
        url = f"http://127.0.0.1:{started['ports']['8000']}/predict"
        assert json.loads(modelcrate.said("predict", url, "-d", '{"data": [4]}')) == {"sum": 4}
    finally:
        modelcrate.said("rm", "--force", "command-api")


def test_a_job_that_ends(modelcrate: Modelcrate, tmp_path: Path) -> None:
    project = write(
        tmp_path / "job",
        modelcrate_yaml="""
name: command-job
command: [python3, job.py]
source: .
models: [factor.txt]
base: {from: debian, shell: true}
""",
        job_py=JOB,
        factor_txt="7",
    )
    (tmp_path / "in").mkdir()
    for name, text in (("a.json", "[1]"), ("b.json", "[2, 3]")):
        (tmp_path / "in" / name).write_text(text)
    modelcrate.said("build", project, "-t", "command-job:1")
    out = modelcrate.said(
        "run", "--rm", "--name", "command-job", "-v", f"{tmp_path / 'in'}:/in:ro", "command-job:1",
        "python3", "job.py", "/in",
    )  # fmt: skip
    assert out == "[7, 35] /var/azureml-app/command-job\n"
    names = modelcrate.said(
        "run", "--rm", "--name", "command-job", "command-job:1", "ls", "/var/azureml-app/command-job"
    )
    assert names.split() == ["job.py", "modelcrate.yaml"]


def test_a_job_runs_without_an_image(modelcrate: Modelcrate, tmp_path: Path) -> None:
    project = write(
        tmp_path / "job",
        modelcrate_yaml="name: x\ncommand: [python3, job.py]\nsource: .\n",
        job_py="import os; print('ran in', os.path.basename(os.getcwd()), flush=True)",
    )
    done = modelcrate.run("serve", project, "--no-reload")
    assert (done.returncode, done.stdout.strip()) == (0, "ran in job")
    assert "served by this machine, not by the image" in done.stderr
