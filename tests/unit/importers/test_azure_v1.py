"""The files of Azure's CLI v1, as JSON and YAML: one says what is served, and the others where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelcrate.importers.imported import write_imported
from modelcrate.pipeline.detection.detect import detect
from modelcrate.project.values import Entry, Model
from modelcrate_layers.errors import SourceError, UserError
from support.configurations import AZURE_SCORE, read, write
from support.tiny_gguf import tiny_gguf

CONDA = "dependencies: [python=3.12, {pip: [azureml-defaults, idna==3.10]}]\n"


def folder(tmp_path: Path, **files: str) -> Path:
    """A project with an entry script; names have two underscores for a dot, and three for a slash."""
    for name, text in {"score__py": AZURE_SCORE, **files}.items():
        path = tmp_path / name.replace("___", "/").replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_an_environment_that_is_written_out(tmp_path: Path) -> None:
    found = read(write(tmp_path, "azure"))
    project = found.project
    assert (found.folder, project.entry) == (tmp_path / "azure", Entry(Path("score.py"), Path("src")))
    assert str(project.base) == "registry.example/team/base:1"
    assert [str(each) for each in project.platforms] == ["linux/arm64"]
    assert (project.python, project.dependencies.requirements) == ("3.11", ("idna==3.10",))
    assert dict(project.env) == {"LEVEL": "high"}
    assert dict(project.labels) == {"org.opencontainers.image.description": "sums"}
    said = "\n".join(found.lines())
    assert "hidden" not in said
    assert "not taken over: deployment_config_aks.yml.scoringTimeoutMs: 5000; in the project file: server:" in said
    assert "not taken over: deployment_config_aks.yml.surplus: 1; it is unknown; " in said
    assert "not taken over: condaFile: old.yml; it does not count beside an environment" in said


def test_the_keys_from_before_environments_and_a_place_above(tmp_path: Path) -> None:
    """The file is in a folder of its own, and its paths start where the CLI is called."""
    config = "entryScript: score.py\nsourceDirectory: .\nruntime: python\ncondaFile: config/env.yml\nenableGpu: False\nbaseImage:\n"
    top = folder(tmp_path, config___inference_config__yml=config, config___env__yml=CONDA, requirements__txt="six\n")
    (top / "weights.gguf").write_bytes(tiny_gguf())
    found = read(top / "config" / "inference_config.yml")
    assert found.folder == top
    assert found.project.entry == Entry(Path("score.py"), Path())
    assert found.project.models == (Model(Path("weights.gguf"), "weights"),)
    assert (found.project.python, found.project.dependencies.requirements) == ("3.12", ("idna==3.10",))
    assert write_imported(found)[0] == top / "modelcrate.yaml"


def test_without_an_environment_the_folder_says_the_packages(tmp_path: Path) -> None:
    top = folder(tmp_path, inferenceconfig__json='{"entryScript": "score.py"}', requirements__txt="idna\n")
    found = read(top / "inferenceconfig.json")
    assert found.project.dependencies.requirements == Path("requirements.txt")
    assert found.project.entry == Entry(Path("score.py"))
    assert any(each.startswith("no model is here, and az takes it from its command line") for each in found.notices)
    (top / "inferenceconfig.json").write_text('{"entryScript": "score.py", "environment": {"name": "mine"}}')
    (missing,) = read(top / "inferenceconfig.json").missing
    assert "az ml environment download -n mine" in missing


def test_the_deployment_configuration_finds_the_other_one(tmp_path: Path) -> None:
    where = json.dumps({"computeType": "local", "port": 32267}, indent="\t")
    top = folder(tmp_path, inferenceconfig__json='{"entryScript": "score.py"}', deploymentconfig__json=where)
    found = read(top / "deploymentconfig.json")
    assert found.file == top / "inferenceconfig.json"
    assert "deploymentconfig.json.port: 32267; at the start: modelcrate run -p PORT:5001" in found.not_taken
    assert read(top / "inferenceconfig.json").lines() == found.lines()
    (top / "inferenceconfig.json").unlink()
    with pytest.raises(UserError, match="what it serves is in no file beside it"):
        read(top / "deploymentconfig.json")


def test_what_is_not_there_or_is_no_python(tmp_path: Path) -> None:
    top = folder(tmp_path, inferenceconfig__json='{"entryScript": "other.py"}')
    with pytest.raises(SourceError, match=r"the entry script other\.py is not there"):
        read(top / "inferenceconfig.json")
    (top / "inferenceconfig.json").write_text(
        '{"entryScript": "score.py", "runtime": "spark-py", "condaFile": "no.yml"}'
    )
    with pytest.raises(UserError, match="the runtime spark-py is not Python") as raised:
        read(top / "inferenceconfig.json")
    assert [each.what for each in raised.value.also] == ["no.yml is not there"]
    (top / "inferenceconfig.json").write_text('{"entryScript": "../score.py"}')
    with pytest.raises(UserError, match="is not in the folder of the file"):
        read(top / "inferenceconfig.json")


def test_a_folder_without_a_project_file_names_the_configuration(tmp_path: Path) -> None:
    top = folder(tmp_path, config___inference_config__yml="entryScript: score.py\n", other___infer__json="{}")
    schema = "$schema: https://azuremlschemas.azureedge.net/latest/managedOnlineDeployment.schema.json\n"
    folder(tmp_path, azureml___blue__yml=schema)
    named = [str(each.path) for each in detect(top)[1] if each.what == "not taken"]
    assert named == ["azureml/blue.yml", "config/inference_config.yml"]
    (top / "azureml/blue.yml").unlink()
    folder(tmp_path, a__yml=CONDA, b__yml=CONDA)
    (top / "b.py").write_text(AZURE_SCORE)
    (top / "score.py").rename(top / "a.py")
    with pytest.raises(UserError, match="2 entry scripts that are equally good") as raised:
        detect(top)
    assert raised.value.hint.startswith(
        "modelcrate init --from config/inference_config.yml makes a project of that file\nor "
    )
