"""Which kind of file it is, what is written, and both callers: the command line and the library."""

from __future__ import annotations

from pathlib import Path

import pytest

import modelcrate
from modelcrate.events import Event, Notice
from modelcrate.importers import read_configuration
from modelcrate.project.reading import read_project
from modelcrate_layers.errors import SourceError, UserError
from support import configurations
from support.command import Inside
from support.configurations import no_workspace, write

TOOLS = {
    "cog": "Cog",
    "bento": "BentoML",
    "kit": "KitOps",
    "truss": "Truss",
    "truss-server": "Truss",
    "truss-engine": "Truss",
    "mlflow": "MLflow",
    "ollama": "Ollama",
    "azure": "Azure Machine Learning",
}


@pytest.mark.parametrize(("kind", "tool"), TOOLS.items())
def test_a_file_is_known_by_its_name_and_by_what_stands_in_it(tmp_path: Path, kind: str, tool: str) -> None:
    file = write(tmp_path, kind)
    assert read_configuration(file, no_workspace).tool == tool
    renamed = file.rename(file.with_name("other.yaml"))
    if kind == "mlflow":
        renamed.with_name("MLmodel").write_bytes(renamed.read_bytes())  # its readers look for it beside the model
    assert read_configuration(renamed, no_workspace).tool == tool


def test_a_folder_with_one_of_them(tmp_path: Path) -> None:
    file = write(tmp_path, "cog")
    assert read_configuration(file.parent, no_workspace).tool == "Cog"
    assert read_configuration(write(tmp_path, "truss").parent, no_workspace).tool == "Truss"
    (file.parent / "Kitfile").write_text(configurations.KIT)
    with pytest.raises(SourceError, match=r"has cog\.yaml, Kitfile"):
        read_configuration(file.parent, no_workspace)


@pytest.mark.parametrize("text", ["a: 1\n", "services: {web: {image: x}}\nversion: 3\n", "apiVersion: v1\nkind: Pod\n"])
def test_another_file_is_refused_with_the_known_kinds(tmp_path: Path, text: str) -> None:
    (tmp_path / "compose.yaml").write_text(text)
    with pytest.raises(UserError, match=r"is of no known kind") as raised:
        read_configuration(tmp_path / "compose.yaml", no_workspace)
    assert "bentofile.yaml or pyproject.toml (BentoML)" in raised.value.hint


def test_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, "truss")
    crate = Inside.of(tmp_path / "home", monkeypatch, capfd)
    shown = crate("init", "--from", str(file)).succeeded().out
    assert 'taken over: python_version: python: "3.11"\n' in shown
    assert "not taken over: build_commands[0]: make; no command runs" in shown
    assert "before a build: data/weights/w.bin is not there" in shown
    assert shown.endswith(f"wrote {file.parent}/truss_score.py\nwrote {file.parent}/modelcrate.yaml\n")
    crate("init", "--from", str(file)).failed(2, "exists already")
    (file.parent / "modelcrate.yaml").unlink()
    crate("init", "--from", str(file)).succeeded()  # the script is as it would be written
    (file.parent / "modelcrate.yaml").unlink()
    (file.parent / "truss_score.py").write_text("mine = 1\n")
    crate("init", "--from", str(file)).failed(2, "truss_score.py: exists already")
    assert not (file.parent / "modelcrate.yaml").exists()
    facts = crate("init", "--from", str(file), "--force", "--json").succeeded().json
    assert facts["tool"] == "Truss"
    assert facts["files"] == [f"{file.parent}/truss_score.py"]
    assert {"taken", "not_taken", "notices", "missing"} <= facts.keys()
    crate("init", str(tmp_path), "--from", str(file)).failed(2, "is no project of")
    crate("init", "--from", "none.yml").failed(3, "can't be read")


def test_from_python(tmp_path: Path) -> None:
    file = write(tmp_path, "ollama")
    events: list[Event] = []
    path = modelcrate.init(source=file, emit=events.append)
    assert path == file.parent / "modelcrate.yaml"
    assert read_project(path).name == "ollama"
    said = [each.text for each in events if isinstance(each, Notice)]
    assert "taken over: FROM: models: tiny.gguf" in said
    with pytest.raises(UserError, match="exists already"):
        modelcrate.init(source=file)
