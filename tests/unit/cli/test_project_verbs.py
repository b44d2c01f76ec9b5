"""The verbs that read a project and build nothing: init, check, plan and lock."""

from __future__ import annotations

from pathlib import Path

from support.command import Inside
from support.small_projects import SCRIPT, served


def test_init_writes_what_it_found_and_no_file_twice(inside: Inside, tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(SCRIPT)
    (tmp_path / "requirements.txt").write_text("tiny-lib\n")
    made = inside("init", tmp_path, "--json").succeeded().json
    assert {each["path"] for each in made["detected"]} >= {"score.py", "requirements.txt"}
    assert "score.py" in Path(made["file"]).read_text()
    inside("init", tmp_path).failed(2, "exists already", "--force")
    assert "detected" in inside("init", tmp_path, "--force").succeeded().out


def test_init_from_a_dockerfile_that_we_wrote(inside: Inside, tmp_path: Path) -> None:
    project = served(tmp_path / "project")
    inside("build", project, "-o", f"dockerfile:{tmp_path / 'out'}").succeeded()
    dockerfile = tmp_path / "out" / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text() + "ENV GREETING=hello\n")
    done = inside("init", tmp_path / "out", "--from", "Dockerfile", "--json").succeeded()
    assert "GREETING: hello" in Path(done.json["file"]).read_text()
    dockerfile.write_text(dockerfile.read_text() + "RUN make\n")
    inside("init", tmp_path / "out", "--from", "Dockerfile").failed(2, "RUN make")
    inside("init", project, "--from", "Dockerfile").failed(2, "-o dockerfile:DIR")


def test_check_names_what_the_image_would_have(inside: Inside, tmp_path: Path) -> None:
    project = served(tmp_path / "project")
    facts = inside("check", project, "--json").succeeded().json
    assert facts["models"] == ["served"]
    assert facts["python"] == "3.11"
    assert facts["entry"].endswith("score.py")
    assert any("tiny-lib" in each for each in facts["packages"])
    assert "2 packages, 1 model; next: modelcrate build" in inside("check", project).succeeded().out
    (project / "src" / "score.py").write_text("import numpy\n" + SCRIPT)
    inside("check", project).failed(2, "numpy")


def test_plan_before_and_after_a_build(inside: Inside, tmp_path: Path) -> None:
    project = served(tmp_path / "project")
    before = inside("plan", project, "--json").succeeded().json
    assert before["digest"] is None
    assert {each["state"] for each in before["platforms"][0]["layers"]} == {"new"}
    text = inside("plan", project).succeeded().out
    assert "image: known when the new layers are measured" in text
    assert "to do: fetch" in text
    digest = inside("build", project, "--json").succeeded().json["digest"]
    after = inside("plan", project, "--json").succeeded().json
    assert after["digest"] == digest
    assert {each["state"] for each in after["platforms"][0]["layers"]} == {"known"}
    assert f"image {digest}" in inside("plan", project).succeeded().out
    pushed = inside("plan", project, "--push", "localhost:1/a/b:1", "--offline", "--json").json
    sizes = [each["size"] for each in pushed["platforms"][0]["layers"]]
    assert [each["bytes"]["send"] for each in pushed["platforms"][0]["layers"]] == sizes


def test_lock_says_what_it_pinned_and_whether_that_is_new(inside: Inside, tmp_path: Path) -> None:
    project = served(tmp_path / "project")
    made = inside("lock", project, "--json").succeeded().json
    assert (made["changed"], made["wheels"], made["models"], made["debs"]) == (True, 2, 1, 0)
    assert "as before" in inside("lock", project).succeeded().out
    (project / "modelcrate.lock").write_text("{")
    assert "changed" in inside("lock", project).succeeded().out
