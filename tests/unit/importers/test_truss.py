"""Truss's config.yaml: a model class behind an entry script, a server of its own, and an engine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from modelcrate.importers.imported import write_imported
from modelcrate.project.serving import Serving
from modelcrate.project.values import Entry, HubModel
from modelcrate_layers.errors import UserError
from support import configurations
from support.configurations import read, write

SCRIPT = "truss_score.py"


def asked(folder: Path, data: object, code: str = "") -> object:
    """What the entry script answers, in a process of its own with the folder's modules."""
    program = f"""
import asyncio, inspect, json
{code}
import truss_score
truss_score.init()
found = truss_score.run({json.dumps(data)!r})
found = asyncio.run(found) if inspect.isawaitable(found) else found
print(json.dumps(list(found) if inspect.isgenerator(found) else found))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


NUMPY = """
import sys, types
class Array:
    def __init__(self, rows): self.rows = rows
    def sum(self, axis): return Array([sum(row) for row in self.rows])
    def __mul__(self, other): return Array([each * other for each in self.rows])
    def tolist(self): return self.rows
sys.modules["numpy"] = types.ModuleType("numpy")
sys.modules["numpy"].asarray = Array
"""
"""The part of numpy that the class uses, for this machine needs none; tests/e2e has the real one in an image."""


def test_a_model_class_gets_an_entry_script_that_calls_it_as_truss_does(tmp_path: Path) -> None:
    found = read(write(tmp_path, "truss"))
    project = found.project
    assert (project.name, project.python, project.entry) == ("my-sums", "3.11", Entry(Path(SCRIPT), Path()))
    assert project.dependencies.requirements == ("idna", "numpy>=1.23.5,<2")
    assert project.models == (
        HubModel("acme/other", "other", "v2", ("*",)),
        HubModel("acme/model", "model", "v1", ("*.json",)),
    )
    assert dict(project.env) == {"LEVEL": "3"}
    assert (
        "secrets: key; no secret goes into an image; at the start: modelcrate run -e TRUSS_SECRET_key"
        in found.not_taken
    )
    write_imported(found)
    assert asked(found.folder, {"rows": [[1, 2], [3, 4]]}, NUMPY) == {"sums": [9, 21], "key": "none"}
    env = "import os; os.environ['TRUSS_SECRET_key'] = 'k'\n"
    assert asked(found.folder, {"rows": []}, NUMPY + env) == {"sums": [], "key": "k"}


@pytest.mark.parametrize(
    ("source", "answer"),
    [
        ("class Model:\n    def predict(self, value):\n        return value", {"a": 1}),
        ("class Model:\n    def predict(self):\n        return (1, 2)", [1, 2]),
        ("class Model:\n    async def predict(self, value):\n        return value['a']", 1),
        ("class Model:\n    def predict(self, value):\n        yield 'a'\n        yield 'b'", ["a", "b"]),
        (
            "class Base:\n    def load(self):\n        self.x = 3\n    def predict(self, v):\n        return self.x\nclass Model(Base):\n    pass",
            3,
        ),
        (
            "class Model:\n    def __init__(self, data_dir, config=None):\n        self.d = data_dir.name\n    def predict(self, v):\n        return self.d",
            "data",
        ),
    ],
)
def test_forms_of_the_class(tmp_path: Path, source: str, answer: object) -> None:
    file = write(tmp_path, "truss", config__yaml="model_name: m\nrequirements: []\n")
    (file.parent / "model/model.py").write_text(source)
    found = read(file)
    write_imported(found)
    assert asked(found.folder, {"a": 1}) == answer
    compile(found.files[SCRIPT], SCRIPT, "exec")


def test_a_class_elsewhere(tmp_path: Path) -> None:
    text = "model_name: m\nmodel_module_dir: my-model\nmodel_class_filename: code.py\nmodel_class_name: Own\nbundled_packages_dir: lib\n"
    file = write(tmp_path, "truss", config__yaml=text)
    (file.parent / "my-model").mkdir()
    (file.parent / "lib").mkdir()
    (file.parent / "lib/inner_part.py").write_text("x = 5")
    (file.parent / "my-model/code.py").write_text(
        "import inner_part\nclass Own:\n    def predict(self, v):\n        return inner_part.x"
    )
    found = read(file)
    write_imported(found)
    assert asked(found.folder, {}) == 5


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("class Other: pass", "defines no class Model"),
        ("class Model:\n    def load(self): pass", "has no predict"),
        ("class Model:\n    async def websocket(self, w): pass", "has websockets alone"),
        ("class Model:\n    def predict(self, v, request): pass", "takes the request of Truss's server"),
        ("class Model:\n    def predict(self, v: fastapi.Request): pass", "takes the request of Truss's server"),
        ("class Model:\n    def __init__(self, trt_llm): pass\n    def predict(self, v): pass", "takes trt_llm"),
        ("class Model(", "is no Python"),
    ],
)
def test_classes_that_no_script_can_call(tmp_path: Path, source: str, said: str) -> None:
    file = write(tmp_path, "truss")
    (file.parent / "model/model.py").write_text(source)
    with pytest.raises(UserError, match=said):
        read(file)


def test_threads_of_a_class_that_answers_one_at_a_time(tmp_path: Path) -> None:
    file = write(tmp_path, "truss", config__yaml="model_name: m\nruntime: {predict_concurrency: 3}\n")
    (file.parent / "model/model.py").write_text(
        "class Model:\n    def predict(self, v): pass\n    def chat_completions(self, v): pass"
    )
    found = read(file)
    assert found.project.serving == Serving(threads=3)
    assert f"not called by {SCRIPT}, which answers predict: chat_completions" in found.notices


def test_a_server_of_its_own(tmp_path: Path) -> None:
    found = read(write(tmp_path, "truss-server"))
    project = found.project
    assert str(project.base) == "vllm/vllm-openai:v0.9.2"
    assert str(project.base.interpreter) == "/usr/bin/python3"
    folder = "/var/azureml-app/azureml-models/other/1/other"
    assert project.command is not None
    assert project.command.argv == ("sh", "-c", f"vllm serve {folder} --port 8000 && true")
    assert (project.command.source, project.command.ports, project.command.health) == (None, (8000,), "/health")
    assert (project.user, dict(project.env)) == ("1000:0", {"CACHE": f"{folder}/cache"})
    assert project.dependencies.requirements == Path("requirements.txt")


@pytest.mark.parametrize(
    ("command", "argv", "shell"),
    [
        ("python3 app.py --port 8000", ("python3", "app.py", "--port", "8000"), False),
        ("cd /app && python3 x.py", ("sh", "-c", "cd /app && python3 x.py"), True),
        ("bash -c 'a; b'", ("bash", "-c", "a; b"), False),
        ("echo 'unclosed", ("sh", "-c", "echo 'unclosed"), True),
    ],
)
def test_commands(tmp_path: Path, command: str, argv: tuple[str, ...], shell: bool) -> None:
    config = {
        "model_name": "m",
        "docker_server": {"start_command": command, "server_port": 8000, "readiness_endpoint": "/h"},
    }
    project = read(write(tmp_path, "truss-server", config__yaml=json.dumps(config))).project
    assert project.command is not None
    assert project.command.argv == argv
    assert getattr(project.base, "shell", None) is shell


def test_folders_of_a_truss_have_other_places(tmp_path: Path) -> None:
    text = "model_name: m\ndocker_server: {start_command: sh /app/data/do.sh /app/database, server_port: 80}\n"
    file = write(tmp_path, "truss", config__yaml=text)
    project = read(file).project
    assert project.command is not None
    assert project.command.argv == ("sh", "/var/azureml-app/m/data/do.sh", "/app/database")
    source = "class Model:\n    def predict(self, v):\n        return open('/app/data/x').read()"
    file = write(tmp_path, "truss")
    (file.parent / "model/model.py").write_text(source)
    assert any(each.startswith("the code names /app/data/x, and the sources are in") for each in read(file).notices)


def test_an_engine_is_its_checkpoint(tmp_path: Path) -> None:
    found = read(write(tmp_path, "truss-engine"))
    assert (found.project.entry, found.project.command) == (None, None)
    assert found.project.models == (HubModel("acme/llama", "llama", "v1"),)
    text = configurations.ENGINE_CONFIG.replace("source: HF", "source: GCS")
    with pytest.raises(UserError, match="engine is built by Baseten alone"):
        read(write(tmp_path, "truss-engine", config__yaml=text))


def test_a_class_that_is_not_there_yet_is_said(tmp_path: Path) -> None:
    file = write(tmp_path, "truss")
    (file.parent / "model/model.py").unlink()
    assert any(each.startswith("model/model.py is not there, with the class Model") for each in read(file).missing)
