"""Rows 28 to 36, the article's next steps: every block of docs/next-steps is executed, and its YAML held to what an image says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelcrate.project.reading import parse_project
from support.ports import free_port
from support.shared_command import Modelcrate
from support.sources import REPOSITORY
from support.waiting import HANG

pytestmark = [pytest.mark.network, pytest.mark.slow]

PAGES = REPOSITORY / "docs" / "next-steps"
PORT = re.compile(r"\b679\d\b")


def blocks(page: str) -> list[tuple[str, str]]:
    return re.findall(r"^```(\w+)\n(.*?)^```$", (PAGES / page).read_text(), re.MULTILINE | re.DOTALL)


def only(page: str, language: str) -> str:
    """The first block of a language."""
    return next(text for each, text in blocks(page) if each == language)


class Reader:
    """Somebody in the folder of the first page's project, with `modelcrate` and `python` in the path."""

    def __init__(self, folder: Path, crate: Modelcrate) -> None:
        self.folder, self.crate = folder, crate
        programs = folder / "bin"
        programs.mkdir()
        for name, words in (("modelcrate", f'"{sys.executable}" -m modelcrate'), ("python", f'"{sys.executable}"')):
            (programs / name).write_text(f'#!/bin/sh\nexec {words} "$@"\n')
            (programs / name).chmod(0o755)
        self.environment = {**crate.environment, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}

    def follow(self, page: str) -> str:
        """What its commands and scripts print; those that fail fail the test. Ports are free ones."""
        ports: dict[str, str] = {}
        said = []
        for language, text in blocks(page):
            if language not in ("sh", "python") or (language == "python" and "def init" in text):
                continue
            text = PORT.sub(lambda found: ports.setdefault(found[0], str(free_port())), text)
            words = ["sh", "-e", "-c", text] if language == "sh" else [sys.executable, "-c", text]
            done = subprocess.run(
                words, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=HANG
            )
            if done.returncode:
                for name in re.findall(r"--name (\w+)", text):
                    self.crate.run("kill", name)
            assert done.returncode == 0, f"{page}: {text}\n{done.stdout}\n{done.stderr[-3000:]}"
            said.append(done.stdout)
        return "".join(said)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory, modelcrate: Modelcrate) -> Reader:
    folder = tmp_path_factory.mktemp("next-steps")
    (folder / "modelcrate.yaml").write_text(only("troubleshoot.md", "yaml"))
    (folder / "score.py").write_text(only("troubleshoot.md", "python"))
    (folder / "offset.txt").write_text("0.5")
    made = Reader(folder, modelcrate)
    modelcrate.said("build", folder, "-t", "sums:1")
    return made


def test_every_page_is_listed_and_executed() -> None:
    listed = re.findall(r"\]\((\S+\.md)\)", (PAGES / "README.md").read_text())
    assert sorted(listed) == sorted(path.name for path in PAGES.glob("*.md") if path.name != "README.md")
    tested = Path(__file__).read_text()
    assert [page for page in listed if f'"{page}"' not in tested] == []


def test_row_28_troubleshooting(reader: Reader) -> None:
    said = reader.follow("troubleshoot.md")
    assert "the entry script has no function run" in said
    assert "entry" in said


def test_row_29_a_cluster_runs_it_restricted(reader: Reader) -> None:
    """The manifest says what the image does, and the image bears what the manifest asks for."""
    deployment, service = yaml.safe_load_all(only("kubernetes.md", "yaml"))
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    config = _config(reader)
    assert list(config["ExposedPorts"]) == [f"{container['ports'][0]['containerPort']}/tcp"] == ["5001/tcp"]
    assert service["spec"]["ports"][0]["targetPort"] == 5001
    asked = deployment["spec"]["template"]["spec"]["securityContext"]
    assert config["User"] == f"{asked['runAsUser']}:{asked['runAsGroup']}"
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]
    assert {container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")} == {"/"}
    assert "[3.5]\n" in reader.follow("kubernetes.md")


def test_row_30_clients_learn_what_the_service_takes(reader: Reader) -> None:
    said = reader.follow("clients.md")
    assert "200 [3.5, 7.5] " in said
    assert [line.split()[0] for line in said.splitlines() if "/score" in line] == ["2.0", "3.0.3", "3.1.0"]


def test_row_31_an_update_moves_what_has_changed(reader: Reader) -> None:
    script = reader.folder / "score.py"
    before = script.read_text()
    try:
        reader.follow("update.md")
        difference = json.loads((reader.folder / "difference.json").read_text())
        assert [each["path"] for each in difference["files"]] == ["var/azureml-app/score.py"]
        assert {each["role"] for each in difference["layers"] if each["state"] != "same"} == {"entry"}
    finally:
        script.write_text(before)


@pytest.mark.parametrize("page", ["custom-base.md", "monitoring.md", "../conda.md"])
def test_row_32_projects_of_the_pages_are_projects(page: str) -> None:
    """Row 34, too: that of Microsoft's server."""
    found = [parse_project(text.encode(), page) for language, text in blocks(page) if language == "yaml"]
    assert found


def test_row_33_tls_ends_in_front_and_keys_stay_out(reader: Reader) -> None:
    (ingress,) = yaml.safe_load_all(only("tls.md", "yaml"))
    assert ingress["spec"]["tls"][0]["hosts"] == [ingress["spec"]["rules"][0]["host"]]
    assert re.search(r"^exit [1-9]", reader.follow("tls.md"), re.MULTILINE)


def test_row_34_a_line_a_request_and_no_telemetry(reader: Reader) -> None:
    assert "POST /score 200 " in reader.follow("monitoring.md")


def test_row_35_a_script_may_collect_a_sample(reader: Reader) -> None:
    (reader.folder / "collected.py").write_text(only("collect-data.md", "python"))
    assert '"collected"' in reader.follow("collect-data.md")


def test_row_36_commands_and_events_are_what_triggers(reader: Reader) -> None:
    said = reader.follow("events.md")
    (digest,) = set(re.findall(r"sha256:[0-9a-f]{64}", said))
    assert f"built {digest}" in said
    assert "Step" in said


def _config(reader: Reader) -> dict[str, Any]:
    shown = json.loads(reader.crate.said("inspect", "sums:1", "--json"))
    return dict(shown["images"][0]["config"]["config"])
