"""The article, executed: every block of docs/azureml.md in its order, with a folder and with docker-registry as the workspace."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import demo, real_registry
from support.demo import PROJECT, REQUEST
from support.engines import build_with_buildah, docker
from support.pages import blocks
from support.ports import free_port
from support.shared_command import Modelcrate
from support.sources import REPOSITORY
from support.tools import call
from support.waiting import HANG

PAGE = REPOSITORY / "docs" / "azureml.md"
REFERENCE = [6783.288837469616, 4073.0497773702928]
"""What the real server answered for this model (scikit-learn 1.9.1)."""


def rows() -> list[tuple[int, str]]:
    """Numbers and tests of the page's table."""
    lines = re.findall(r"^\| (\d+) \|.*\| ([^|]+) \|$", PAGE.read_text(), re.MULTILINE)
    return [(int(number), test.strip("` ")) for number, test in lines]


def test_every_row_has_a_test_that_names_it() -> None:
    """By its number, in the name or in the docstring: `row 3`, `rows 5 and 6`, `rows 11 to 14`."""
    assert [number for number, _ in rows()] == list(range(1, 39))
    known = {
        node.name: numbers(f"{node.name.replace('_', ' ')} {ast.get_docstring(node) or ''}")
        for path in (REPOSITORY / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    }
    assert [(row, test) for row, test in rows() if row not in known.get(test, set())] == []


def numbers(text: str) -> set[int]:
    """The rows that a text names."""
    found: set[int] = set()
    for each in re.findall(r"(?i)\brows? (\d+(?:(?:,| and| to|, and)? \d+)*)", text):
        for first, last in re.findall(r"(\d+)(?: to (\d+))?", each):
            found |= set(range(int(first), int(last or first) + 1))
    return found


@pytest.fixture(scope="module")
def registry_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if why := real_registry.missing():
        pytest.skip(why)
    with real_registry.running(tmp_path_factory.mktemp("registry")) as running:
        yield running.host


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Modelcrate:
    """A home whose layers both runs share, with a `modelcrate` for shells and no Docker to be found."""
    home = demo.home(tmp_path_factory.mktemp("article") / "home")
    bin_folder = home / "bin"
    bin_folder.mkdir()
    (bin_folder / "modelcrate").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m modelcrate "$@"\n')
    (bin_folder / "modelcrate").chmod(0o755)
    crate = Modelcrate(home)
    demo.build_places(PROJECT, home, crate, ["store:warm"])  # skips where no mirror answers
    return crate


class Reader:
    """Somebody who follows the page. `said` grows with what the blocks print."""

    def __init__(self, folder: Path, crate: Modelcrate, address: str, image: str) -> None:
        self.folder, self.crate, self.names, self.said = folder, crate, {}, []  # type: ignore[var-annotated]
        self.replaced = {'"address": "workspace"': f'"address": "{address}"', "diabetes:1": image}
        self.replaced["6789"] = str(free_port())

    def follow(self, language: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
        for old, new in self.replaced.items():
            text = text.replace(old, new)
        if language == "json":
            (self.folder / "config.json").write_text(text)
        elif language == "python":
            exec(compile(text, str(PAGE), "exec"), self.names)
            self.said.append(capsys.readouterr().out)
        else:
            path = f"{self.crate.home / 'bin'}{os.pathsep}{os.environ['PATH']}"
            done = subprocess.run(
                ["sh", "-e", "-c", text],
                cwd=self.folder,
                env={**self.crate.environment, "PATH": path},
                capture_output=True,
                text=True,
                timeout=HANG,
            )
            assert done.returncode == 0, f"{text}\n{done.stderr[-3000:]}"
            self.said.append(done.stdout)


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folder", "registry"])
def test_the_article(
    kind: str,
    request: pytest.FixtureRequest,
    warm: Modelcrate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Rows 3, 11 to 14, 23, 24, 26, 27 and 37."""
    for name in ("sklearn_regression_model.pkl", "score.py"):
        (tmp_path / "src").mkdir(exist_ok=True)
        source = PROJECT / ("src" if name == "score.py" else "model") / name
        (tmp_path / ("src" if name == "score.py" else ".") / name).write_bytes(source.read_bytes())
    address, image = "workspace", "diabetes:1"
    if kind == "registry":
        address = f"{request.getfixturevalue('registry_host')}/article"
        image = f"{address}/diabetes:1"
    monkeypatch.chdir(tmp_path)
    for name, value in warm.environment.items():
        monkeypatch.setenv(name, value)
    reader = Reader(tmp_path, warm, address, image)
    for block in blocks("azureml.md"):
        reader.follow(block.language, block.text, capsys)
    said = "\n".join(reader.said)
    assert said.startswith("Registering model sklearn-regression-model\nsklearn-regression-model 1\n")
    assert said.count("Package creation Succeeded") == 3
    assert f"Status: Downloaded newer image for {image}\n" in said
    assert [json.loads(line) for line in said.splitlines() if line.startswith("[")] == [
        pytest.approx(REFERENCE, 1e-9),  # of the container, and of the local deployment
        pytest.approx(REFERENCE, 1e-9),
    ]
    assert re.search(r"^myimage +latest +[0-9a-f]{12} ", said, re.MULTILINE)
    assert "<none>" not in said
    package: Any = reader.names["package"]
    shown = {each["repository"]: each for each in json.loads(warm.said("images", "--json"))}
    assert shown["myimage"]["digest"] == package.digest, "the saved folder, unedited"


@pytest.mark.network
@pytest.mark.slow
def test_row_5_no_code_answers_what_the_model_predicts(warm: Modelcrate, tmp_path: Path) -> None:
    place = f"folder:{tmp_path / 'ws'}"
    model = PROJECT / "model" / "sklearn_regression_model.pkl"
    known = ("--framework", "ScikitLearn", "--framework-version", "1.9.1")
    warm.said("model", "register", "m", model, "-w", place, *known)
    receipt = warm.json("package", "m", "-w", place, "-o", "store:bare")
    assert [layer["origin"] for layer in receipt["layers"] if layer["role"] == "model"] == ["reused"]
    started = warm.json("run", "-d", "--name", "bare", "-p", "0:5001", "bare")
    try:
        url = f"http://127.0.0.1:{started['ports']['5001']}/score"
        body = REQUEST.encode()
        with urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": "application/json"})) as answer:
            assert json.loads(answer.read()) == {"predict": pytest.approx(REFERENCE, 1e-9)}
    finally:
        warm.said("kill", "bare")


def message(*fields: tuple[int, int | bytes]) -> bytes:
    """A protobuf message of small numbers and of texts or messages below 128 bytes."""
    return b"".join(
        bytes([number << 3, value]) if isinstance(value, int) else bytes([number << 3 | 2, len(value)]) + value
        for number, value in fields
    )


def doubling_model() -> bytes:
    """An ONNX model that adds its input to itself: y = x + x, for any number of floats."""
    shape = message((1, message((2, b"n"))))
    floats = message((1, message((1, 1), (2, shape))))
    node = message((1, b"x"), (1, b"x"), (2, b"y"), (4, b"Add"))
    graph = message((1, node), (2, b"g"), (11, message((1, b"x"), (2, floats))), (12, message((1, b"y"), (2, floats))))
    return message((1, 8), (7, graph), (8, message((2, 13))))


@pytest.mark.network
@pytest.mark.slow
def test_row_5_no_code_serves_an_onnx_model(warm: Modelcrate, tmp_path: Path) -> None:
    (tmp_path / "double.onnx").write_bytes(doubling_model())
    place = f"folder:{tmp_path / 'ws'}"
    warm.said("model", "register", "double", tmp_path / "double.onnx", "-w", place, "--framework", "Onnx")
    warm.said("package", "double", "-w", place, "-o", "store:double")
    started = warm.json("run", "-d", "--name", "double", "-p", "0:5001", "double")
    try:
        url = f"http://127.0.0.1:{started['ports']['5001']}/score"
        for body in (b'{"data": [1, 2.5]}', b'{"inputs": {"x": [1, 2.5]}}'):
            asked = urllib.request.Request(url, body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(asked, timeout=HANG) as answer:
                assert json.loads(answer.read()) == {"outputs": {"y": [2.0, 5.0]}}
    finally:
        warm.said("kill", "double")


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.interop
def test_row_22_docker_builds_the_folder_without_a_network(warm: Modelcrate, tmp_path: Path) -> None:
    """By its classic builder, which needs no image of its own; a model of four bytes, for Docker copies every layer several times."""
    project, folder = tmp_path / "project", tmp_path / "imagefiles"
    project.mkdir()
    (project / "modelcrate.yaml").write_text("name: sums\nmodels: [one.txt]\nentry: score.py\n")
    (project / "one.txt").write_text("1.0\n")
    model = 'open(__import__("os").environ["AZUREML_MODEL_DIR"] + "/one.txt")'
    (project / "score.py").write_text(
        f"def init():\n    global one\n    with {model} as file:\n        one = float(file.read())\n\n\n"
        "def run(data):\n    return float(data) + one\n"
    )
    warm.said("build", project, "-o", f"dockerfile:{folder}")
    with docker() as client:
        words = ("build", "--network", "none", "--tag", "myimage", folder)
        call("docker", "-H", f"unix://{client.socket}", *words, environment={"DOCKER_BUILDKIT": "0"}, timeout=HANG)
        client("run", "-d", "--network", "host", "--name", "mycontainer", "myimage:latest")
        assert client.network.post("http://127.0.0.1:5001/score", "41.5") == "42.5"
        client("kill", "mycontainer")


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.interop
def test_row_22_buildah_builds_the_folder_without_a_network(warm: Modelcrate, tmp_path: Path) -> None:
    warm.said("build", PROJECT, "-o", f"dockerfile:{tmp_path / 'imagefiles'}")
    image = build_with_buildah(tmp_path / "imagefiles", tmp_path, "--disable-compression")
    started = warm.json("run", "-d", "--name", "theirs", "-p", "0:5001", image)
    try:
        url = f"http://127.0.0.1:{started['ports']['5001']}/score"
        body = REQUEST.encode()
        with urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": "application/json"})) as answer:
            assert json.loads(answer.read()) == pytest.approx(REFERENCE, 1e-9)
    finally:
        warm.said("kill", "theirs")
