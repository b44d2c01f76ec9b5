"""Rows 28 to 36, the article's next steps: every block of docs/next-steps is executed, and its YAML held to what an image says."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelcrate.project.reading import parse_project
from support.pages import Reader, blocks, end_containers, install
from support.ports import free_port
from support.shared_command import Modelcrate
from support.sources import REPOSITORY

pytestmark = [pytest.mark.network, pytest.mark.slow]

PAGES = REPOSITORY / "docs" / "next-steps"


def only(page: str, language: str) -> str:
    """The first block of a language."""
    return next(block.text for block in blocks(f"next-steps/{page}") if block.language == language)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory, modelcrate: Modelcrate) -> Iterator[Reader]:
    """Somebody in the folder of the first page's project."""
    folder = tmp_path_factory.mktemp("next-steps")
    (folder / "modelcrate.yaml").write_text(only("troubleshoot.md", "yaml"))
    (folder / "score.py").write_text(only("troubleshoot.md", "python"))
    (folder / "offset.txt").write_text("0.5")
    modelcrate.said("build", folder, "-t", "sums:1")
    install(folder / "bin", sys.executable)
    ports = {f"679{last}": str(free_port()) for last in range(5)}
    with Reader(folder, modelcrate, ports) as reader:
        yield reader
    end_containers(modelcrate)


def test_every_page_is_listed_and_executed() -> None:
    listed = re.findall(r"\]\((\S+\.md)\)", (PAGES / "README.md").read_text())
    assert sorted(listed) == sorted(path.name for path in PAGES.glob("*.md") if path.name != "README.md")
    tested = Path(__file__).read_text()
    assert [page for page in listed if f'/{page}"' not in tested] == []


def test_row_28_troubleshooting(reader: Reader) -> None:
    said = reader.follow("next-steps/troubleshoot.md")
    assert "the entry script has no function run" in said
    assert "entry" in said


def test_row_29_a_cluster_runs_it_restricted(reader: Reader, modelcrate: Modelcrate) -> None:
    """The manifest says what the image does, and the image bears what the manifest asks for."""
    deployment, service = yaml.safe_load_all(only("kubernetes.md", "yaml"))
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    config = _config(modelcrate)
    assert list(config["ExposedPorts"]) == [f"{container['ports'][0]['containerPort']}/tcp"] == ["5001/tcp"]
    assert service["spec"]["ports"][0]["targetPort"] == 5001
    asked = deployment["spec"]["template"]["spec"]["securityContext"]
    assert config["User"] == f"{asked['runAsUser']}:{asked['runAsGroup']}"
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]
    assert {container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")} == {"/"}
    assert "[3.5]\n" in reader.follow("next-steps/kubernetes.md")


def test_row_30_clients_learn_what_the_service_takes(reader: Reader) -> None:
    said = reader.follow("next-steps/clients.md")
    assert "200 [3.5, 7.5] " in said
    assert [line.split()[0] for line in said.splitlines() if "/score" in line] == ["2.0", "3.0.3", "3.1.0"]


def test_row_31_an_update_moves_what_has_changed(reader: Reader) -> None:
    script = reader.folder / "score.py"
    before = script.read_text()
    try:
        reader.follow("next-steps/update.md")
        difference = json.loads((reader.folder / "difference.json").read_text())
        assert [each["path"] for each in difference["files"]] == ["var/azureml-app/score.py"]
        assert {each["role"] for each in difference["layers"] if each["state"] != "same"} == {"entry"}
    finally:
        script.write_text(before)


@pytest.mark.parametrize("page", ["next-steps/custom-base.md", "next-steps/monitoring.md", "conda.md"])
def test_row_32_projects_of_the_pages_are_projects(page: str) -> None:
    """Row 34, too: that of Microsoft's server."""
    found = [parse_project(block.text.encode(), page) for block in blocks(page) if block.language == "yaml"]
    assert found


def test_row_33_tls_ends_in_front_and_keys_stay_out(reader: Reader) -> None:
    (ingress,) = yaml.safe_load_all(only("tls.md", "yaml"))
    assert ingress["spec"]["tls"][0]["hosts"] == [ingress["spec"]["rules"][0]["host"]]
    assert re.search(r"^exit [1-9]", reader.follow("next-steps/tls.md"), re.MULTILINE)


def test_row_34_a_line_a_request_and_no_telemetry(reader: Reader) -> None:
    assert "POST /score 200 " in reader.follow("next-steps/monitoring.md")


def test_row_35_a_script_may_collect_a_sample(reader: Reader) -> None:
    assert '"collected"' in reader.follow("next-steps/collect-data.md")


def test_row_36_commands_and_events_are_what_triggers(reader: Reader) -> None:
    said = reader.follow("next-steps/events.md")
    (digest,) = set(re.findall(r"sha256:[0-9a-f]{64}", said))
    assert f"built {digest}" in said
    assert "Step" in said


def _config(modelcrate: Modelcrate) -> dict[str, Any]:
    shown = json.loads(modelcrate.said("inspect", "sums:1", "--json"))
    return dict(shown["images"][0]["config"]["config"])
