"""The verbs of containers where no container is: they list nothing, and name what they did not find."""

from __future__ import annotations

import argparse
import inspect
from dataclasses import fields
from pathlib import Path

import pytest

import modelcrate
from modelcrate.cli import run
from modelcrate_layers.errors import UserError
from support.bases import small
from support.command import Inside
from support.images_by_hand import write_layout
from support.small_projects import model_only


def test_no_containers_are_listed(inside: Inside) -> None:
    assert inside("ps", "--json").succeeded().json == []
    assert inside("ps").succeeded().out.split()[0] == "NAME"


@pytest.mark.parametrize("verb", ["logs", "stop", "start", "kill", "rm"])
def test_a_container_that_is_not(inside: Inside, verb: str) -> None:
    inside(verb, "nobody").failed(2, "there is no container 'nobody'")


def test_a_program_in_a_container_that_is_not(inside: Inside) -> None:
    inside("exec", "nobody", "true").failed(2, "there is no container 'nobody'")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("-p", "many", "IMAGE"), 2, "many"),
        (("-v", "nowhere", "IMAGE"), 2, "nowhere"),
        (("--wait", "5", "IMAGE"), 2, "--detach"),
        (("--entrypoint", "", "IMAGE"), 2, "command"),
        (("nothing",), 3, "there is no image 'nothing'"),
    ],
)
def test_a_start_that_cannot_be(inside: Inside, alone: Path, words: tuple[str, ...], code: int, said: str) -> None:
    inside("run", *(word.replace("IMAGE", "alone") for word in words)).failed(code, said)


def test_what_can_not_be_read_is_told_before_a_project_is_built(inside: Inside, tmp_path: Path) -> None:
    project = model_only(tmp_path / "project")
    for words in (
        ("-p", "many"),
        ("-v", "nowhere"),
        ("-m", "little"),
        ("--gpus", "x"),
        ("-e", "=x"),
        ("--restart", "x"),
    ):
        inside("run", "-d", *words, project).failed(2)
    assert not (inside.home / "store").exists()


def test_an_image_for_another_system_is_refused(inside: Inside, tmp_path: Path) -> None:
    address = write_layout(tmp_path / "image", [small()], {"Cmd": ["cmd.exe"]}, system="windows")
    inside("run", address).failed(2, "the image is for windows/amd64, and only images for Linux run here", "--platform")
    with pytest.raises(UserError, match="only images for Linux run here"):
        modelcrate.run(address, settings=modelcrate.Config(inside.home))


def test_the_library_has_every_option_of_the_command() -> None:
    """What one caller gets, all get. A container of the library is in the background."""
    parser = argparse.ArgumentParser()
    run.arguments(parser)
    words = {"publish": "ports", "volume": "volumes", "device": "devices", "rm": "remove"}
    options = {words.get(each.dest, each.dest) for each in parser._actions} - {"help", "detach", "env_file", "no_wait"}
    known = {each.name for each in fields(modelcrate.ContainerOptions)}
    assert options <= {*known, *inspect.signature(modelcrate.run).parameters}
