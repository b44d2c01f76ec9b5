"""Golden requests: an image is held to them before it is delivered, they travel beside it, and it is asked them from the registry alone."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from modelcrate.containers.container import containers
from support import real_registry
from support.real_registry import Running
from support.shared_command import Modelcrate
from support.waiting import HANG, until

pytestmark = [pytest.mark.network, pytest.mark.slow]

SCRIPT = """
import json

def init():
    pass

def run(data):
    return {"sum": [sum(row) for row in json.loads(data)["data"]]}
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    if why := real_registry.missing():
        pytest.skip(why)
    with real_registry.running(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "golden").mkdir(parents=True)
    (folder / "modelcrate.yaml").write_text("name: golden-sums\nentry: score.py\ntests: golden\n")
    (folder / "score.py").write_text(SCRIPT)
    (folder / "golden/one.request.json").write_text('{"data": [[0.1, 0.2]]}')
    (folder / "golden/one.response.json").write_text('{"sum": [0.3]}')
    return folder


def failed(crate: Modelcrate, code: int, *words: str | Path, traceback: bool = False) -> str:
    done = crate.run(*words)
    assert done.returncode == code, done.stdout + done.stderr
    assert ("Traceback" in done.stderr) == traceback  # of the entry script, never ours
    return done.stdout + done.stderr


def test_they_guard_the_push_and_travel_beside_the_image(
    modelcrate: Modelcrate, registry: Running, project: Path, tmp_path: Path
) -> None:
    stranger = replace(modelcrate, home=tmp_path / "other")
    name = f"{registry.host}/sums:1"
    first = modelcrate.json("build", project, "--test", "--push", name)
    verdicts = stranger.json("test", name)
    assert [(each["name"], each["differences"]) for each in verdicts] == [("golden/one", [])]

    (project / "score.py").write_text(SCRIPT.replace("sum(row)", "sum(row) + 1"))
    assert "$.sum[0] is 1.3" in failed(modelcrate, 5, "build", project, "--test", "--push", name)
    assert modelcrate.said("digest", name).strip() == first["digest"]

    modelcrate.said("build", project, "--push", name)  # without --test nothing is run
    assert "golden/one: $.sum[0] is 1.3" in failed(stranger, 5, "test", name)
    (project / "golden/one.response.json").write_text('{"sum": [1.3]}')
    assert stranger.json("test", name, "--project", project)[0]["differences"] == []
    assert containers(stranger.home / "containers") == ()


def test_the_image_does_not_depend_on_them(modelcrate: Modelcrate, project: Path, tmp_path: Path) -> None:
    with_tests = modelcrate.json("build", project, "-o", f"oci:{tmp_path / 'one'}")
    path = project / "modelcrate.yaml"
    path.write_text(path.read_text().replace("tests: golden\n", ""))
    assert modelcrate.json("build", project, "-o", f"oci:{tmp_path / 'two'}")["digest"] == with_tests["digest"]
    assert "no golden requests are beside the image" in failed(modelcrate, 3, "test", f"oci:{tmp_path / 'two'}")
    assert "has no golden requests to test" in failed(modelcrate, 2, "build", project, "--test")


def test_a_project_an_image_and_a_server_are_asked(modelcrate: Modelcrate, project: Path, tmp_path: Path) -> None:
    assert json.loads(modelcrate.said("predict", project, "-d", '{"data": [[1, 2]]}')) == {"sum": [3]}
    assert "JSONDecodeError" in failed(modelcrate, 4, "predict", project, "-d", "nonsense", traceback=True)
    (tmp_path / "request.json").write_text('{"data": [[5, 6]]}')
    modelcrate.said("build", project, "-t", "golden-sums:1")
    asked = modelcrate.said("predict", "golden-sums:1", "-d", f"@{tmp_path / 'request.json'}")
    assert json.loads(asked) == {"sum": [11]}
    started = modelcrate.json("run", "-d", "-p", "0:5001", "--name", "golden-asked", project)
    try:
        url = f"http://127.0.0.1:{started['ports']['5001']}"
        for address in (url, f"{url}/score"):
            assert json.loads(modelcrate.said("predict", address, "-d", '{"data": [[2]]}')) == {"sum": [2]}
        assert "the server answered with status 500" in failed(modelcrate, 4, "predict", url, "-d", "nonsense")
        assert "--offline forbids" in failed(modelcrate, 2, "predict", url, "--offline", "-d", "1")
    finally:
        modelcrate.said("rm", "--force", "golden-asked")


def test_the_container_of_a_killed_command_is_removed_by_the_next(modelcrate: Modelcrate, project: Path) -> None:
    modelcrate.said("build", project, "-t", "golden-killed:1")
    (project / "score.py").write_text(
        SCRIPT.replace("def run(data):", "def run(data):\n    __import__('time').sleep(600)")
    )
    modelcrate.said("build", project, "-t", "golden-sleeping:1")
    state = modelcrate.home / "containers"
    words = modelcrate.words("predict", "golden-sleeping:1", "-d", '{"data": [[1]]}')
    asking = subprocess.Popen(words, env=modelcrate.environment, cwd="/")

    def left() -> list[str]:
        return [each.name for each in containers(state) if each.name.startswith(f"ask-{asking.pid}-")]

    until(lambda: bool(left()) and containers(state)[0].folder.joinpath("log").exists(), HANG)
    asking.kill()
    asking.wait(HANG)
    assert left()
    assert json.loads(modelcrate.said("predict", "golden-killed:1", "-d", '{"data": [[1, 2]]}')) == {"sum": [3]}
    assert left() == []


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        (("predict", "", "-d", "1"), 2, "nothing is named that could be asked"),
        (("predict", "http://[::1/", "-d", "1"), 2, "not a URL"),
        (("predict", "http://127.0.0.1:1/score?a=1", "-d", "1"), 2, "not the URL of a server"),
        (("predict", "http://me:secret@127.0.0.1:1/score", "-d", "1"), 2, "not the URL of a server"),
        (("test", "absent"), 3, "there is no image 'absent'"),
        (("predict", "http://127.0.0.1:1", "-d", "1"), 4, "no server answers"),
        (("predict", "http://127.0.0.1:1/score", "-d", "1"), 4, "the server does not answer"),
        (("predict", ".", "-d", "@absent.json"), 3, "can't be read"),
        (("predict", ".", "-d", "1", "--path", "score"), 2, "not a path"),
    ],
)
def test_what_can_not_be_asked(modelcrate: Modelcrate, words: tuple[str, ...], code: int, what: str) -> None:
    said = failed(modelcrate, code, *words)
    assert what in said
    assert "secret" not in said
