"""`build`: the receipt, outputs, batches, and requests that can't be met."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.command import Inside, names
from support.small_projects import model_only, served, wait_until_trusted


def test_the_receipt_says_what_was_made_and_how_to_run_it(inside: Inside, tmp_path: Path) -> None:
    project = served(tmp_path / "project")
    wait_until_trusted(project)
    first = inside("build", project, "-t", "served:1", "-v").succeeded().out
    assert "5 layers" in first
    assert "in the local store as served:1" in first
    assert "run it: modelcrate run -p 8080:5001 served:1" in first
    receipt = inside("build", project, "--json").succeeded().json
    assert [each["role"] for each in receipt["layers"]] == ["dependencies", "dependencies", "server", "model", "entry"]
    assert {each["origin"] for each in receipt["layers"]} <= {"known", "reused"}
    assert receipt["digest"] in first


def test_an_image_goes_to_every_output(inside: Inside, tmp_path: Path) -> None:
    project = model_only(tmp_path / "project")
    archive = tmp_path / "image.tar"
    done = inside(
        "build", project, "-o", f"oci:{tmp_path / 'out'}:1", "-o", f"docker-archive:{archive}:a:1"
    ).succeeded()
    assert names(tmp_path / "out") == ["1"]
    assert archive.stat().st_size > 7000
    assert f"written to {archive}:a:1" in done.out


def test_progress_as_json_ends_with_what_is_done(inside: Inside, tmp_path: Path) -> None:
    done = inside("build", model_only(tmp_path / "project"), "--progress", "json").succeeded()
    events = [json.loads(line) for line in done.err.splitlines()]
    assert [each["name"] for each in events if each["event"] == "step"][-1] == "deliver"
    assert [each["what"] for each in events if each["event"] == "done"] == ["store alone:latest"]


def test_a_list_of_projects_is_built_whatever_becomes_of_one(inside: Inside, tmp_path: Path) -> None:
    good, bad = model_only(tmp_path / "good"), model_only(tmp_path / "bad")
    (bad / "model.bin").unlink()
    (tmp_path / "list").write_text(f"{good}\n{bad}\n")
    done = inside("build", "--each", tmp_path / "list", "--jobs", 2, "-o", f"oci:{tmp_path}/out/{{name}}", "--json")
    assert done.code == 3
    assert "model.bin" in done.err
    assert [each["exit_code"] for each in done.json] == [0, 3]
    assert (tmp_path / "out" / "alone" / "index.json").exists()
    table = inside("build", "--each", tmp_path / "list").out.splitlines()
    assert "written" in table[0]
    assert "failed (exit 3)" in table[1]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("-o", "docker-archive:-", "--json"), 2, "standard output"),
        (("-o", "docker-archive:-", "-o", "oci-archive:-"), 2, "standard output"),
        (("-o", "balloon:x"), 2, "balloon"),
        (("--push", "localhost/{name}:1"), 2, "{name} belongs to --each"),
        (("--locked",), 7, "modelcrate lock"),
        (("--sign", "nowhere.key"), 3, "nowhere.key"),
    ],
)
def test_a_request_that_cannot_be_met_changes_nothing(
    inside: Inside, tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    inside("build", model_only(tmp_path / "project"), *words).failed(code, said, "nothing was changed")


def test_files_for_other_steps_of_a_pipeline(inside: Inside, tmp_path: Path) -> None:
    project, out = model_only(tmp_path / "project"), tmp_path / "digest"
    out.write_text("of yesterday")
    receipt = inside("build", project, "--digest-file", out, "--json").succeeded().json
    assert out.read_text() == receipt["digest"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--reference-file", "{}/x"), "nothing to name"),
        (("--digest-file", "{}/nowhere/x"), "is no folder"),
        (("--digest-file", "/dev/null"), "is no regular file"),
        (("--digest-file", "{}/x", "--each", "{}/list"), "several projects"),
    ],
)
def test_files_that_cannot_be_written_stop_a_build_before_it(
    inside: Inside, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    project = model_only(tmp_path / "project")
    (tmp_path / "list").write_text(f"{project}\n")
    words = tuple(each.format(tmp_path) for each in words)
    inside("build", *([] if "--each" in words else [project]), *words).failed(2, said, "nothing was changed")
    assert not (tmp_path / "x").exists()


def test_no_result_takes_the_place_of_a_source_or_an_output(inside: Inside, tmp_path: Path) -> None:
    project, archive = model_only(tmp_path / "project"), tmp_path / "o.tar"
    before = {path: path.read_bytes() for path in project.iterdir()}
    (tmp_path / "link").symlink_to(project)
    for words, said in (
        (("--digest-file", archive, "-o", f"oci-archive:{archive}:1"), "what -o oci-archive:"),
        (("--digest-file", tmp_path / "out/index.json", "-o", f"oci:{tmp_path}/out:1"), "what -o oci:"),
        (("--digest-file", tmp_path / "x", "--trace", tmp_path / "project/../x"), "what --digest-file names"),
        *((("--digest-file", path), "a file of the project") for path in before),
        (("--report", tmp_path / "link/model.bin"), "a file of the project"),
        (("--trace", project / "modelcrate.yaml"), "a file of the project"),
    ):
        (tmp_path / "out").mkdir(exist_ok=True)
        inside("build", project, *words).failed(2, said, "nothing was changed")
    assert {path: path.read_bytes() for path in project.iterdir()} == before
    words = ("--digest-file", project / "digest", "--report", project / "a.html", "--trace", project / "trace.json")
    for _ in range(2):
        inside("build", project, *words).succeeded()
    inside("build", project, "--report", "/dev/null").failed(2, "is no regular file", "nothing was changed")
    failed = inside("build", project, "--digest-file", "/proc/x")
    assert failed.code != 0
    assert ".incoming-" not in failed.err


@pytest.mark.parametrize(
    ("variables", "coloured"), [({}, False), ({"FORCE_COLOR": "1"}, True), ({"NO_COLOR": "1"}, False)]
)
def test_errors_have_colours_where_they_are_wanted(
    inside: Inside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], coloured: bool
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "x\x1b[31m").mkdir()
    said = inside("plan", tmp_path / "x\x1b[31m").err
    assert ("\x1b[1;31m" in said) is coloured
    assert "\x1b[31m" not in said.replace("\x1b[1;31m", "")
