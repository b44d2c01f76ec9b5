"""Images for code that an orchestrator starts: what their values become in a project, and what is refused."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from modelcrate.plugins.building import RuntimeImage, exists, project_of, refuse
from modelcrate.project.values import DebianBase, RegistryBase
from modelcrate_layers.errors import UserError


def test_a_base_is_of_docker_hub_where_it_has_no_host() -> None:
    """`debian:bookworm-slim` of an orchestrator is no base that modelcrate makes."""
    project = project_of(RuntimeImage("r.example/a/b:1", "debian:bookworm-slim", interpreter="/usr/bin/python3"))
    assert project.base == RegistryBase("docker.io/library/debian:bookworm-slim", PurePosixPath("/usr/bin/python3"))
    assert project.name == "b"


def test_without_a_program_the_orchestrator_names_one() -> None:
    project = project_of(RuntimeImage("a", source=Path("/somewhere/code"), alias="/app"))
    assert isinstance(project.base, DebianBase)
    assert project.base.shell
    assert project.command is not None
    assert (project.command.argv, project.command.source, project.command.alias) == (
        (),
        Path("code"),
        PurePosixPath("/app"),
    )
    assert project.env["PYTHONPATH"] == "/tmp"


def test_code_that_is_sent_later_has_a_folder_that_can_be_written() -> None:
    command = project_of(RuntimeImage("a")).command
    assert command is not None
    assert (command.source, command.workdir) == (None, PurePosixPath("/tmp"))


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (RuntimeImage("a", "b", keys={"base": {"from": "debian", "packages": ["curl"]}}), "curl"),
        (RuntimeImage("a", "not a reference"), "not a reference"),
        (RuntimeImage("a", "b", interpreter="python3"), "no path of an image"),
        (RuntimeImage("a", source=Path("c"), base="b", alias="/x/../etc"), "no path of an image"),
        (RuntimeImage("a", source=Path("c"), alias="/"), "no path of an image"),
        (RuntimeImage("a", source=Path("c"), alias="/usr"), "can't be in /usr"),
        (RuntimeImage("a", source=Path("c"), alias="//usr/./lib/"), "can't be in"),
        (RuntimeImage("a", source=Path("c"), alias="/etc/app"), "can't be in /etc/app"),
        (RuntimeImage("a", source=Path("c"), alias="/var/azureml-app/x"), "can't be in"),
        (RuntimeImage("A B"), "A B"),
        (RuntimeImage("a", keys={"env": {"PYTHONHOME": "/x", "A=B": "1"}}), "A=B"),
        (RuntimeImage("a", keys={"platforms": ["windows/amd64"]}), "windows"),
        (RuntimeImage("a", keys={"python": "three"}), "three"),
    ],
)
def test_what_no_project_could_say_is_refused(image: RuntimeImage, said: str) -> None:
    with pytest.raises(UserError, match=said):
        project_of(image)


def test_a_fault_shows_no_other_setting() -> None:
    with pytest.raises(UserError) as caught:
        project_of(RuntimeImage("a", keys={"env": {"TOKEN": "s3cret", "A=B": "1"}}))
    assert "s3cret" not in str(caught.value)


def test_all_settings_that_are_refused_are_named() -> None:
    with pytest.raises(UserError, match=r"can't have a, b\n.*a: do x; b: do y"):
        refuse("it", {"a": "do x", "b": "do y", "c": "do z"}, {"a": 1, "b": 2, "d": 3})
    refuse("it", {"a": "do x"}, {"b": 2})


def test_an_image_that_the_store_lacks_does_not_exist(tmp_path: Path) -> None:
    from modelcrate.config import Config

    assert not exists("nothing:1", pushed=False, settings=Config(home=tmp_path))


@pytest.mark.parametrize("name", ["flyte", "zenml"])
def test_a_plug_in_has_no_other_names(name: str) -> None:
    from importlib import import_module

    module = import_module(f"modelcrate.plugins.{name}")
    with pytest.raises(AttributeError, match="Nothing"):
        module.__getattr__("Nothing")
