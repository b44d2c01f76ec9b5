"""`model` and `package` over a folder and without a network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support import offline
from support.command import Inside


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return offline.write_project(tmp_path / "files")


def test_row_1_models_are_registered_listed_shown_tagged_and_downloaded(
    inside: Inside, files: Path, tmp_path: Path
) -> None:
    place = ("-w", tmp_path / "ws")
    model = files / "models" / "one.bin"
    made = inside(
        "model", "register", "one", model, "--tag", "a=1", "--framework", "Onnx", *place, "--json"
    ).succeeded()
    assert made.json["id"] == "one:1"
    assert inside("model", "register", "one", model, *place).succeeded().out == "one:2\n"
    found = inside("model", "list", *place, "--json").succeeded().json
    assert [each["id"] for each in found] == ["one:2", "one:1"]
    assert [each["id"] for each in inside("model", "list", "--tag", "a", *place, "--json").json] == ["one:1"]
    assert [each["id"] for each in inside("model", "list", "--latest", *place, "--json").json] == ["one:2"]
    inside("model", "tag", "one:1", "b=2", "--remove", "a", "--property", "p=1", *place).succeeded()
    shown = inside("model", "show", "one:1", *place, "--json").json
    assert (shown["tags"], shown["properties"]) == ({"b": "2"}, {"p": "1"})
    inside("model", "download", "one:1", tmp_path / "down", *place).succeeded()
    assert (tmp_path / "down" / "one.bin").read_bytes() == model.read_bytes()
    inside("model", "download", "one:1", tmp_path / "down", *place).failed(2, "exists already")


def test_the_workspace_is_the_one_of_the_environment_else_modelcrates_own(
    inside: Inside, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside("model", "register", "mine", files / "models" / "one.bin").succeeded()
    assert (inside.home / "workspaces" / "default" / "oci-layout").exists()
    monkeypatch.setenv("MODELCRATE_WORKSPACE", str(tmp_path / "ws"))
    assert inside("model", "list", "--json").json == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("register", "-bad-", "model.bin"), 2, ""),
        (("register", "a/b", "model.bin"), 2, "not a model name"),
        (("register", "a", "nowhere.bin"), 3, "is not there"),
        (("show", "a:0"), 2, "not a version"),
        (("show", "rose"), 3, "there is no model rose"),
        (("tag", "rose", "x"), 3, "no model rose"),
        (("list", "--tag"), 2, ""),
    ],
)
def test_bad_words_are_answered_with_their_exit_code(
    inside: Inside, tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    done = inside("model", *words, "-w", tmp_path / "ws")
    assert done.code == code
    assert said in done.err
    assert not (tmp_path / "ws").exists(), "nothing half-made"


def test_a_project_takes_registered_models_by_version_or_the_latest(inside: Inside, files: Path) -> None:
    """The digest is that of the same model packaged from its file: its layers are the very tars of the image."""
    direct = inside("build", files, "--offline", "--json").succeeded().json
    inside("model", "register", "one", files / "models" / "one.bin", "-w", files / "ws").succeeded()
    project = files / "modelcrate.yaml"
    text = project.read_text()
    named = text.replace("{path: models/one.bin, name: one, version: 1}", "{registered: 'one:1'}")
    project.write_text(f"{named}workspace: ws\n")
    registered = inside("build", files, "--offline", "--json").succeeded().json
    assert registered["digest"] == direct["digest"]
    (layer,) = [each for each in registered["layers"] if each["name"] == "one:1"]
    assert layer["origin"] == "reused"
    inside("lock", files, "--offline").succeeded()
    project.write_text(project.read_text().replace("'one:1'", "one"))
    inside("model", "register", "one", files / "models" / "two", "-w", files / "ws").succeeded()
    locked = inside("build", files, "--offline", "--locked", "--json").succeeded().json
    assert locked["digest"] == direct["digest"], "without a version it is the locked one"
    (files / "modelcrate.lock").unlink()
    latest = inside("build", files, "--offline", "--json").succeeded().json
    assert [each["name"] for each in latest["layers"] if each["role"] == "model"] == ["one:2", "two:3"]


def test_row_2_package_writes_an_image_or_a_dockerfile(inside: Inside, files: Path, tmp_path: Path) -> None:
    place = ("-w", tmp_path / "ws")
    inside("model", "register", "one", files / "models" / "one.bin", *place).succeeded()
    (files / "env.yml").write_text(
        f"dependencies:\n- python=3.11\n- pip:\n  - --find-links {files / 'wheels'}\n  - tiny-answer==1.0\n"
    )
    environment = ("--conda-file", files / "env.yml", "--base-image", f"rootfs:{files / 'base.tar'}")
    entry = ("--entry-script", "score.py", "--source-directory", files / "src")
    words = ("package", "one", *place, *entry, *environment, "--image-name", "flowers", "--offline", "--json")
    image = inside(*words, "--image-label", "1").succeeded().json
    assert image["outputs"][0]["target"] == f"{tmp_path / 'ws'}:flowers.1"
    folder = inside(*words, "--dockerfile", tmp_path / "imagefiles").succeeded().json
    assert folder["digest"] == image["digest"]
    again = (
        inside("build", tmp_path / "imagefiles", "-t", "myimage", "--offline", "--locked", "--json").succeeded().json
    )
    assert again["digest"] == image["digest"]
    assert json.loads(inside("images", "--json").out)[0]["repository"] == "myimage"


def test_package_without_a_config_says_what_is_lacking(inside: Inside, files: Path, tmp_path: Path) -> None:
    inside("model", "register", "one", files / "models" / "one.bin", "-w", tmp_path / "ws").succeeded()
    inside("package", "one", "-w", tmp_path / "ws").failed(
        2, "can be served without an entry script", "write an entry script"
    )


def test_row_17_changes_of_the_dockerfile_are_understood_or_named(inside: Inside, files: Path, tmp_path: Path) -> None:
    folder = tmp_path / "imagefiles"
    made = inside("build", files, "--offline", "-o", f"dockerfile:{folder}", "--json").succeeded().json
    text = (folder / "Dockerfile").read_text()
    changed = text.replace('LABEL "team"="research"', 'LABEL "team"="another"').replace("USER 10001:0", "USER 12345:0")
    (folder / "Dockerfile").write_text(f"{changed}ENV NEW=1\n# a word\n")
    inside("build", folder, "--offline").failed(2, "was changed", "modelcrate init --from Dockerfile")
    inside("init", folder, "--from", "Dockerfile").succeeded()
    again = inside("build", folder, "--offline", "-o", f"oci:{tmp_path / 'out'}", "--json").succeeded().json
    assert again["digest"] != made["digest"]
    config = json.loads((tmp_path / "out/blobs" / again["id"].replace(":", "/")).read_text())["config"]
    assert "NEW=1" in config["Env"]
    assert (config["Labels"], config["User"]) == ({"team": "another"}, "12345:0")


@pytest.mark.parametrize(("change", "named"), [("RUN true\n", "RUN true"), ("", "STOPSIGNAL")])
def test_row_17_a_line_that_takes_an_engine_is_named(
    change: str, named: str, inside: Inside, files: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "imagefiles"
    made = inside("build", files, "--offline", "-o", f"dockerfile:{folder}", "--json").succeeded().json
    text = (folder / "Dockerfile").read_text()
    (folder / "Dockerfile").write_text(f"{text}{change}" if change else text.replace("STOPSIGNAL SIGTERM\n", ""))
    inside("init", folder, "--from", "Dockerfile").failed(2, "takes an engine", named)
    (folder / "Dockerfile").write_text(text)
    assert inside("build", folder, "--offline", "--json").json["digest"] == made["digest"]
