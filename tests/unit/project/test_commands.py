"""Projects with a command: the keys that belong to it, and the rules between them."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from modelcrate.project.reading import parse_project
from modelcrate.project.remembered import decode, encode
from modelcrate.project.values import Command
from modelcrate.project.writing import project_text
from modelcrate_layers.errors import UserError

FILE = b"""
name: api
command: [uvicorn, "app:app", --port, "8000", "true", ""]
source: src
ports: [8000, 9000]
workdir: /srv
health: /healthz
"""


def test_a_command_is_read_remembered_and_written() -> None:
    project = parse_project(FILE)
    argv = ("uvicorn", "app:app", "--port", "8000", "true", "")
    assert project.command == Command(argv, Path("src"), (8000, 9000), PurePosixPath("/srv"), "/healthz")
    assert (project.entry, project.served_by_model) == (None, False)
    assert decode(encode(project)) == project
    assert parse_project(project_text(project).encode()) == project


def test_a_command_alone_will_do() -> None:
    assert parse_project(b"name: a\ncommand: [python3]\nserver: none\n").command == Command(("python3",))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("command: [a]\nentry: s.py", "a command and an entry script"),
        ("command: uvicorn", "a list"),
        ("command: [a]\nhealth: /x", "'health' without a port"),
        ("command: [a]\nports: [1, 1]", "the port 1 stands twice"),
        ("command: [a]\nports: [70000]", "70000 is not a port"),
        ("command: [a]\nports: [0]", "0 is not a port"),
        ("command: [a]\nworkdir: srv", "not an absolute path of the image"),
        ("command: [a]\nworkdir: /srv/../x", "not an absolute path of the image"),
        ("command: [a]\nsource: ../x", "leads out of the project"),
        ("command: [a]\nhealth: healthz", "a path such as /score"),
        ("command: [a]\ncontracts: [oip]", "contracts without an entry script"),
        ("command: [a]\nserver: azureml", "a server, and no entry script for it"),
        ("entry: s.py\nports: [80]", "'ports' without a command"),
        ("entry: s.py\nsource: x", "'source' without a command"),
        ("entry: s.py\nserver: none", "no server, and no command"),
        ("command: []", "'command' names no program"),
    ],
)
def test_rules(text: str, what: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_project(f"name: a\n{text}\n".encode())
    assert what in str(caught.value)


@pytest.mark.parametrize("text", ["command: uvicorn", "command: [a, null]", "comand: [a]", "command: []"])
def test_a_command_with_a_fault_is_still_a_command(text: str) -> None:
    """Neither the missing entry script nor the keys beside it are faults of their own."""
    with pytest.raises(UserError) as caught:
        parse_project(f"name: a\n{text}\n".encode())
    assert caught.value.faults == 1
    if text != "command: []":
        with pytest.raises(UserError) as caught:
            parse_project(f"name: a\n{text}\nsource: src\nports: [80]\n".encode())
        assert caught.value.faults == 1
