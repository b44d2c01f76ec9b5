"""The command line as a new user meets it: help, versions, mistakes, terminals, pipes, and JSON for machines."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
import tarfile
from contextlib import suppress
from pathlib import Path

import pytest

from modelcrate.cli import VERBS
from support.command import Crate, Inside, half_made
from support.small_projects import SCRIPT, model_only, served, sparse_model
from support.validator import assert_valid_layout
from support.waiting import HANG


@pytest.fixture
def crate(tmp_path: Path) -> Crate:
    return Crate.at(tmp_path / "home")


def test_without_arguments_it_says_what_it_can_do(inside: Inside) -> None:
    failed = inside().failed(2, "usage: modelcrate")
    assert all(verb in failed.err for verb in VERBS)


INNER = {"azureml": "run", "bundle": "show", "contract": "check", "model": "list"}
"""One of the verbs of a verb that has verbs of its own."""


def test_help_of_every_verb(inside: Inside) -> None:
    shown = inside("--help").succeeded().out
    for verb in VERBS:
        assert f"    {verb} " in shown
        words = (verb, INNER[verb]) if verb in INNER else (verb,)
        assert f"usage: modelcrate {verb}" in inside(verb, "--help").succeeded().out
        help_text = inside(*words, "--help").succeeded().out
        assert help_text.startswith(f"usage: modelcrate {' '.join(words)}")
        assert "--json" in help_text
        assert "--debug" in help_text


@pytest.mark.parametrize(("word", "meant"), [("biuld", "build"), ("pusch", "push"), ("image", "images")])
def test_an_unknown_verb_that_is_near_a_known_one(inside: Inside, word: str, meant: str) -> None:
    inside(word, "x").failed(2, word, f"did you mean '{meant}'?")


def test_an_unknown_verb(inside: Inside) -> None:
    inside("frobnicate").failed(2, "frobnicate", *VERBS)


def test_an_unknown_option(inside: Inside) -> None:
    """The command's own usage is shown, with what was probably meant."""
    inside("build", "--pusch", "x").failed(2, "usage: modelcrate build", "--pusch; did you mean '--push'?")
    inside("bundle", "show", "--jsn", "x").failed(2, "usage: modelcrate bundle show", "did you mean '--json'?")
    inside("--json", "images").failed(2, "it stands behind the command: modelcrate images --json")


def test_what_could_not_be_written_is_said(crate: Crate) -> None:
    """A result that waits in Python's buffer is still written, or missed, before the process ends at once."""
    for place, code in (("/dev/null", 0), ("/dev/full", 6)):
        with open(place, "w") as out:
            done = subprocess.run(crate.command("--version"), env=crate.environment, stdout=out, stderr=subprocess.PIPE)
        assert done.returncode == code
        assert (b"No space left" in done.stderr) == bool(code)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", ["--version", "--help", "images", "cache du"])
def test_output_that_nobody_reads_or_that_has_no_room(crate: Crate, words: str, unbuffered: str) -> None:
    """Containers often have PYTHONUNBUFFERED: then each line is written at once, and each may fail."""
    reads, writes = os.pipe()
    os.close(reads)
    environment = {**crate.environment, "PYTHONUNBUFFERED": unbuffered}
    with open(writes, "w") as gone:
        done = subprocess.run(crate.command(*words.split()), env=environment, stdout=gone, stderr=subprocess.PIPE)
    assert b"Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr
    with open("/dev/full", "w") as full:
        done = subprocess.run(crate.command(*words.split()), env=environment, stdout=full, stderr=subprocess.PIPE)
    assert b"Traceback" not in done.stderr
    assert words == "--help" or b"No space left" in done.stderr
    assert b"TMPDIR" not in done.stderr, "it is the output that has no room"


@pytest.mark.parametrize("place", ["a pipe without a reader", "/dev/full"])
def test_progress_that_nobody_can_read_ends_no_work(crate: Crate, tmp_path: Path, place: str) -> None:
    """`build 2>&1 | head` ended with 0, and the image was nowhere."""
    project = model_only(tmp_path / "project")
    if place == "/dev/full":
        writes = os.open(place, os.O_WRONLY)
    else:
        reads, writes = os.pipe()
        os.close(reads)
    command = crate.command("build", project, "-o", f"oci:{tmp_path / 'out'}:1", "--progress", "json")
    done = subprocess.run(command, env=crate.environment, stdout=writes, stderr=writes)
    os.close(writes)
    assert_valid_layout(tmp_path / "out")
    assert done.returncode == (6 if place == "/dev/full" else 0)


def test_the_version(inside: Inside) -> None:
    assert inside("--version").succeeded().out.startswith("modelcrate ")


def test_json_is_alone_on_standard_output(inside: Inside, tmp_path: Path) -> None:
    project = served(tmp_path / "project")
    (project / "modelcrate.yaml").unlink()  # so that there are words to say: what was detected
    (project / "modelcrate.yaml").write_text(served(tmp_path / "other").joinpath("modelcrate.yaml").read_text())
    receipt = inside("build", project, "--json").succeeded().json
    assert {"digest", "id", "platform", "layers", "outputs", "timings"} <= set(receipt)
    assert [layer["role"] for layer in receipt["layers"]] == [
        "dependencies",
        "dependencies",
        "server",
        "model",
        "entry",
    ]
    for layer in receipt["layers"]:
        assert {"role", "name", "digest", "diff_id", "size", "codec", "origin"} <= set(layer)
        assert layer["origin"] in ("built", "known", "reused")
    assert {"kind", "target", "digest", "bytes_sent", "requests"} <= set(receipt["outputs"][0])
    for words in (["plan", project], ["images"], ["inspect", "served"], ["lock", project]):
        assert inside(*words, "--json").succeeded().json


def test_an_error_leaves_standard_output_empty_also_with_json(inside: Inside) -> None:
    inside("inspect", "nothing", "--json").failed(3, "there is no image 'nothing'")


def test_progress_as_json_lines(inside: Inside, tmp_path: Path) -> None:
    done = inside("build", model_only(tmp_path / "project"), "--progress", "json").succeeded()
    events = [json.loads(line) for line in done.err.splitlines()]
    assert [each["name"] for each in events if each["event"] == "step"] == [
        "resolve",
        "plan",
        "pack",
        "assemble",
        "deliver",
    ]
    started = {each["label"] for each in events if each["event"] == "started"}
    assert started == {each["label"] for each in events if each["event"] == "finished"}
    assert {each["what"] for each in events if each["event"] == "done"} == {"store alone:latest"}


def test_in_a_log_there_are_no_control_characters(crate: Crate, tmp_path: Path) -> None:
    done = crate("build", model_only(tmp_path / "project")).succeeded()
    assert "\x1b" not in done.err + done.out
    assert "\r" not in done.err + done.out


def test_on_a_terminal_there_is_a_bar_that_goes_away(crate: Crate, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    project = sparse_model(tmp_path / "project", 256 << 20)
    with subprocess.Popen(
        crate.command("build", project, "-o", f"oci:{tmp_path / 'out'}"),
        env=crate.environment,
        stdout=theirs,
        stderr=theirs,
        stdin=theirs,
    ) as process:
        os.close(theirs)
        shown = _all(ours)
        process.wait()
    assert process.returncode == 0, shown
    assert "[####" in shown
    assert "model: large:1" in shown
    after = shown.rpartition("\x1b[J")[2]
    assert "[#" not in after, "what is left on the screen is the result"
    assert "image sha256:" in after


def test_ctrl_c_on_a_terminal(crate: Crate, tmp_path: Path) -> None:
    """As the terminal sends it: to all processes of the foreground."""
    pid, ours = pty.fork()
    if pid == 0:
        command = crate.command("build", sparse_model(tmp_path / "project", 64 << 30))
        os.execvpe(command[0], command, dict(crate.environment))
    shown = b""
    while b"[" not in shown:
        shown += os.read(ours, 4096)
    os.write(ours, b"\x03")
    rest = _all(ours)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 130
    assert "interrupted; no incomplete files were left behind" in rest
    assert "Traceback" not in rest
    assert half_made(crate.home) == []


def _all(handle: int) -> str:
    data = b""
    with suppress(OSError):  # a terminal whose other side is closed
        while piece := os.read(handle, 65536):
            data += piece
    os.close(handle)
    return data.decode()


@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive"])
def test_an_archive_on_standard_output(crate: Crate, tmp_path: Path, kind: str) -> None:
    done = subprocess.run(
        crate.command("build", served(tmp_path / "project"), "-o", f"{kind}:-"),
        env=crate.environment,
        capture_output=True,
        check=True,
    )
    with tarfile.open(fileobj=io.BytesIO(done.stdout), mode="r|") as archive:
        members = archive.getnames()
    assert "index.json" in members
    assert b"image sha256:" in done.stderr, "the words went to standard error"


def test_an_archive_is_not_poured_onto_a_terminal(crate: Crate, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        crate.command("build", model_only(tmp_path / "project"), "-o", "docker-archive:-"),
        env=crate.environment,
        stdout=theirs,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(theirs)
        shown = _all(ours)
        _, err = process.communicate()
    assert process.returncode == 2, err
    assert b"terminal" in err
    assert shown == ""


def test_json_and_an_archive_can_not_share_standard_output(inside: Inside, tmp_path: Path) -> None:
    inside("build", model_only(tmp_path / "project"), "-o", "docker-archive:-", "--json").failed(2, "standard output")


def test_two_archives_can_not_share_standard_output(inside: Inside, tmp_path: Path) -> None:
    inside("build", model_only(tmp_path / "project"), "-o", "docker-archive:-", "-o", "oci-archive:-").failed(
        2, "standard output"
    )


def test_a_reader_that_goes_away_is_no_error_to_shout_about(crate: Crate, tmp_path: Path) -> None:
    project = sparse_model(tmp_path / "project", 64 << 20)
    with crate.start("build", project, "-o", "oci-archive:-") as process:
        assert process.stdout is not None
        process.stdout.read(1000)
        process.stdout.close()
        err = process.stderr.read() if process.stderr else b""
        process.wait()
    assert b"Traceback" not in err, err.decode()
    assert process.returncode != 0, "an archive that nobody has read to its end was not written"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_a_closed_standard_stream_is_no_fault(crate: Crate, tmp_path: Path, closed: str) -> None:
    """And no file gets its number, into which the output would go."""
    project = model_only(tmp_path / "project")
    line = f'"{sys.executable}" -m modelcrate build -o oci:"{tmp_path}/out" {closed}'
    environment = {**os.environ, "MODELCRATE_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        ["sh", "-c", line], cwd=project, capture_output=True, text=True, env=environment, timeout=HANG
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert_valid_layout(tmp_path / "out")


def test_without_a_project_file_what_was_found_is_told_with_reasons(inside: Inside, tmp_path: Path) -> None:
    folder = tmp_path / "found"
    folder.mkdir()
    (folder / "score.py").write_text(SCRIPT)
    (folder / "requirements.txt").write_text("tiny-lib\n")
    (folder / "model.joblib").write_bytes(b"\x80\x04weights")
    done = inside("init", folder).succeeded()
    assert all(word in done.out for word in ("score.py", "init", "run", "requirements.txt", "model.joblib"))
    assert "because" in done.out or ":" in done.out
    inside("init", folder).failed(2, "exists already", "--force")
    (folder / "modelcrate.yaml").unlink()
    told = inside("plan", folder, "--offline")
    assert "detected" in told.err
    assert "score.py" in told.err


def test_debug_shows_where_an_error_came_from(crate: Crate, tmp_path: Path) -> None:
    done = crate("inspect", "nothing", "--debug")
    assert "Traceback" in done.err
    assert done.code == 3, "the exit code is the same"


def test_an_empty_project_is_not_this_folder(crate: Crate) -> None:
    """As of a variable that was not set."""
    crate("build", "").failed(2, "PROJECT is ''")
