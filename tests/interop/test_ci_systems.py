"""The GitHub Action, the GitLab component and the examples for other systems: run as far as they run here, else held to their own types."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from support import real_registry
from support.azure import environment
from support.npm import npm
from support.shared_command import Modelcrate
from support.small_projects import model_only
from support.sources import REPOSITORY
from support.tools import PATH, call, need
from support.trusted import judged
from support.validator import assert_valid_layout
from support.waiting import HANG

pytestmark = pytest.mark.interop

EXAMPLES = REPOSITORY / "examples" / "ci"
GITLAB = "gitlab-ci-local@4.63.0"
TEKTON = "@ibm/tekton-lint@1.1.0"

HOSTILE = 'a"; touch "$HOME/ran"; echo $(touch "$HOME/ran") `touch "$HOME/ran"` \'x'
"""A folder's name that is a program wherever it becomes a part of a script."""


@pytest.fixture
def without_docker(tmp_path: Path, modelcrate: Modelcrate) -> dict[str, str]:
    """An environment whose PATH has a few programs, no engine among them, and modelcrate."""
    need("git", "rsync", "node")
    folder = tmp_path / "bin"
    folder.mkdir()
    programs = "bash cat chmod cp cut dirname env find git grep head id ls mkdir mktemp mv node rm rsync sed sh sort tail tar touch uname wc"
    for name in programs.split():
        found = shutil.which(name, path=PATH)
        assert found, name
        (folder / name).symlink_to(found)
    (folder / "modelcrate").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m modelcrate "$@"\n')
    (folder / "modelcrate").chmod(0o755)
    home = tmp_path / "user"
    home.mkdir()
    given = {name: modelcrate.environment[name] for name in ("PYTHONPATH", "MODELCRATE_HOME", "LANG")}
    return {**given, "PATH": str(folder), "HOME": str(home)}


def repository(folder: Path, **files: str) -> Path:
    """A repository of Git with one commit."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    who = ("-c", "user.name=ci", "-c", "user.email=ci@example.com")
    for words in (
        ("init", "-q", "-b", "main"),
        ("remote", "add", "origin", "git@gitlab.example:team/thing.git"),
        ("add", "-A"),
        (*who, "commit", "-qm", "all"),
    ):
        call("git", "-C", folder, *words)
    return folder


def pushed(reference: str, modelcrate: Modelcrate, folder: Path) -> str:
    """The digest of an image that a registry has, after a look at all of it."""
    modelcrate.said("copy", f"registry:{reference}", f"oci:{folder}")
    assert_valid_layout(folder)
    return modelcrate.said("digest", reference).strip()


def run_gitlab(folder: Path, env: Mapping[str, str], host: str) -> subprocess.CompletedProcess[str]:
    words = [npm(GITLAB, "gitlab-ci-local"), "--force-shell-executor", "--no-color"]
    words += ["--variable", f"CI_REGISTRY_IMAGE={host}/team/thing"]
    return subprocess.run([*map(str, words)], env=dict(env), capture_output=True, text=True, timeout=HANG, cwd=folder)


def gitlab_file(**inputs: Any) -> str:
    job = {"stage": "deploy", "needs": ["modelcrate"], "script": ['echo "deploys $MODELCRATE_REFERENCE."']}
    include = [{"local": "templates/build.yml", "inputs": {"requirement": "", **inputs}}]
    return yaml.safe_dump({"stages": ["build", "deploy"], "include": include, "deploy": job})


def test_the_component_of_gitlab_builds_and_pushes_without_docker(
    without_docker: Mapping[str, str], docker_registry: real_registry.Running, modelcrate: Modelcrate, tmp_path: Path
) -> None:
    text = gitlab_file(project="model", push="$CI_REGISTRY_IMAGE:$CI_COMMIT_REF_SLUG $CI_REGISTRY_IMAGE:two")
    model_only(tmp_path / "clone" / "model")
    component = (REPOSITORY / "templates" / "build.yml").read_text()
    clone = repository(tmp_path / "clone", **{".gitlab-ci.yml": text, "templates/build.yml": component})
    done = run_gitlab(clone, without_docker, docker_registry.host)
    assert done.returncode == 0, done.stdout + done.stderr
    assert shutil.which("docker", path=without_docker["PATH"]) is None
    digest = pushed(f"{docker_registry.host}/team/thing:main", modelcrate, tmp_path / "main")
    assert pushed(f"{docker_registry.host}/team/thing:two", modelcrate, tmp_path / "two") == digest
    assert f"deploys {docker_registry.host}/team/thing@{digest}." in done.stdout
    assert json.loads((clone / ".gitlab-ci-local/artifacts/modelcrate/modelcrate.json").read_text())["digest"] == digest


def test_no_input_of_the_component_is_a_part_of_its_script(
    without_docker: Mapping[str, str], docker_registry: real_registry.Running, tmp_path: Path
) -> None:
    component = (REPOSITORY / "templates" / "build.yml").read_text()
    header, _, body = component.partition("\n---\n")
    scripts = [each for job in yaml.safe_load(body).values() for each in job["script"]]
    assert "inputs." not in "".join(scripts)
    assert set(re.findall(r"inputs\.(\w+)", body)) == set(yaml.safe_load(header)["spec"]["inputs"])
    hostile = HOSTILE.replace("$", "$$").replace(
        '"', ""
    )  # a variable of GitLab's; and a quote would end the YAML of gitlab-ci-local
    clone = repository(
        tmp_path / "clone",
        **{".gitlab-ci.yml": gitlab_file(project=hostile, push=""), "templates/build.yml": component},
    )
    done = run_gitlab(clone, without_docker, docker_registry.host)
    assert done.returncode != 0
    assert "the project file can't be read" in done.stdout + done.stderr, done.stdout + done.stderr
    assert not (Path(without_docker["HOME"]) / "ran").exists()


def action_step(name: str, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The script of a step, and its variables as the runner evaluates them."""
    action = yaml.safe_load((REPOSITORY / "action.yml").read_text())
    given = {key: str(value.get("default", "")) for key, value in action["inputs"].items()}
    assert set(inputs) <= set(given)
    known = {f"inputs.{key}": value for key, value in {**given, "token": "t0ken", **inputs}.items()}
    known |= {f"steps.{key}": value for key, value in outputs.items()} | {"github.action_path": str(REPOSITORY)}
    (step,) = (each for each in action["runs"]["steps"] if each["id"] == name)

    def value(text: str) -> str:
        inner = re.fullmatch(r"\$\{\{ (.+) \}\}", text)
        assert inner, text
        return next((known[part] for part in inner[1].split(" || ") if known.get(part)), "")

    return step["run"], {key: value(text) for key, text in step["env"].items()}


def run_action(
    env: Mapping[str, str], folder: Path, **inputs: str
) -> tuple[subprocess.CompletedProcess[str], dict[str, str]]:
    """The build step of the action under the shell of GitHub's runner, and its outputs."""
    script, variables = action_step("build", inputs, {"install.outputs.folder": str(folder)})
    (folder / "venv/bin").mkdir(parents=True)
    (folder / "venv/bin/modelcrate").symlink_to(Path(env["PATH"]) / "modelcrate")
    (folder / "step.sh").write_text(script)
    out = folder / "outputs"
    out.touch()
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(folder / "step.sh")],
        env={**env, **variables, "GITHUB_OUTPUT": str(out)}, capture_output=True, text=True, timeout=HANG, cwd=folder,
    )  # fmt: skip
    text = re.sub(
        r"^(\w+)<<(\w+)\n(.*?)^\2\n",
        lambda found: f"{found[1]}={found[3].strip()!r}\n",
        out.read_text(),
        flags=re.DOTALL | re.MULTILINE,
    )
    return done, dict(line.split("=", 1) for line in text.splitlines())


def test_the_action_builds_pushes_and_says_what(
    without_docker: Mapping[str, str], docker_registry: real_registry.Running, modelcrate: Modelcrate, tmp_path: Path
) -> None:
    host = docker_registry.host
    project = model_only(tmp_path / "a project")
    done, outputs = run_action(
        without_docker, tmp_path / "step", project=str(project), push=f"{host}/team/action:1\r\n\n{host}/team/other:2\n", locked="false",
        arguments="--no-reuse\n--max-size=1GB\n", username="lab", password="se cret", registry=host,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    digest = pushed(f"{host}/team/action:1", modelcrate, tmp_path / "layout")
    both = [f"{host}/team/action@{digest}", f"{host}/team/other@{digest}"]
    assert (outputs["digest"], outputs["reference"]) == (digest, both[0])
    assert outputs["references"] == repr("\n".join(both))
    assert json.loads(Path(outputs["receipt"]).read_text())["digest"] == digest
    assert "se cret" not in done.stdout + done.stderr + "".join(
        each.read_text() for each in (tmp_path / "step").glob("*") if each.is_file()
    )


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        ({"project": HOSTILE}, 3),
        ({"push": HOSTILE}, 2),
        ({"arguments": HOSTILE}, 2),
        ({"locked": HOSTILE}, 2),
        ({"push": "--help"}, 2),
        ({"username": HOSTILE, "password": HOSTILE, "registry": HOSTILE, "project": "nowhere"}, 3),
    ],
)
def test_no_input_of_the_action_is_a_program(
    without_docker: Mapping[str, str], tmp_path: Path, inputs: dict[str, str], code: int
) -> None:
    done, outputs = run_action(without_docker, tmp_path / "step", **inputs)
    assert done.returncode == code, done.stderr
    assert outputs == {}
    assert not (Path(without_docker["HOME"]) / "ran").exists()


def test_tektons_task(tmp_path: Path) -> None:
    """IBM's linter knows references and results; a step has the members of a container, which Kubernetes' schema knows."""
    path = EXAMPLES / "tekton-task.yaml"
    lint = npm(TEKTON, "tekton-lint")
    call(lint, "--max-warnings", "0", path)
    (tmp_path / "wrong.yaml").write_text(path.read_text().replace("$(params.project)", "$(params.projekt)"))
    with pytest.raises(AssertionError, match="projekt"):
        call(lint, tmp_path / "wrong.yaml")
    script = (
        "import sys, yaml, kubernetes_validate as k\n"
        "task = yaml.safe_load(sys.argv[1])['spec']\n"
        "k.validate({'apiVersion': 'v1', 'kind': 'Pod', 'metadata': {'name': 'x'}, 'spec': {'containers': task['steps']}}, '1.31', strict=True)\n"
    )
    judged("kubernetes_validate", script, path.read_text())
    with pytest.raises(AssertionError, match="workingFolder"):
        judged("kubernetes_validate", script, path.read_text().replace("workingDir:", "workingFolder:"))


def test_argos_template() -> None:
    """Hera's types of Argo Workflows; what they do not know is lost when they are written again."""
    python = environment("argo", "hera==7.1.0", "pyyaml", compiled=False)
    script = (
        "import json, sys, yaml\n"
        "from hera.workflows.models import WorkflowTemplate\n"
        "told = yaml.safe_load(sys.argv[1])\n"
        "made = WorkflowTemplate.model_validate(told).model_dump_json(by_alias=True, exclude_none=True)\n"
        "assert json.loads(made) == told, made\n"
    )
    text = (EXAMPLES / "argo-workflow.yaml").read_text()
    call(python, "-c", script, text)
    with pytest.raises(AssertionError, match="AssertionError"):
        call(python, "-c", script, text.replace("valueFrom:", "valueOf:"))


@pytest.fixture(params=["Jenkinsfile", "azure-pipelines.yml", "tekton-task.yaml", "argo-workflow.yaml"])
def words(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """The words that an example gives to modelcrate, without its system's variables."""
    text = (EXAMPLES / request.param).read_text()
    if request.param.endswith("yaml"):
        spec = yaml.safe_load(text)["spec"]
        told = spec["steps"][0]["args"] if "steps" in spec else spec["templates"][0]["container"]["args"]
        yield [re.sub(r"\$\(params\.arguments.*\)", "--no-reuse", each) for each in told]
    else:
        (line,) = re.findall(r'bin/modelcrate" (build (?:.|\\\n)*?) > ', text)
        yield line.replace("\\\n", " ").replace('"', "").split()


def test_the_examples_name_options_that_there_are(words: list[str]) -> None:
    from modelcrate.cli import parser

    known = [re.sub(r"\$\(.*?\)|\{\{.*?\}\}|\$\w+(:\$\w+)?", "registry.example/a", each) for each in words]
    args = parser(known).parse_args(known)
    assert args.verb == "build"
    assert args.push
    assert args.reference_file
